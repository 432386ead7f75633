//! What people read: reports, e-mails, charts.
