//! What changes of a group lead to.
