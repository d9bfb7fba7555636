//! Redis: the cluster's user status, and which roles there are.
