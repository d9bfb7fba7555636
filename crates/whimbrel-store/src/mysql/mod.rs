//! MySQL 8.4 and later, MariaDB 10.11 and later: the cluster's timeline and directory.
