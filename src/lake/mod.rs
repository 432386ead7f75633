//! Object storage: keys, tables, publishing, browsing.
