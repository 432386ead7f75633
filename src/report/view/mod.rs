//! Views: everything a page or an e-mail says, as plain values.
//!
//! A view is made by a job and rendered here. [`ReportView`] holds what is the same for the same inputs;
//! [`DigestView`] adds what belongs to one night (times, run, attempts), so the published report cannot show it.
//! The verdict and the four answers are never stored: they are derived from the rest of the view (`answers.rs`).
//! Views hold counts of people only as [`PeopleCount`], which cannot hold a number below ten.

mod alert;
mod alert_news;
mod answers;
mod dictionary;
mod drift;
mod failure;
mod flagged;
mod fresh;
mod history;
mod model;
mod night;
mod pages;
mod reader;
mod sample;
mod sample_history;
mod sample_models;
mod tables;
mod trust;
mod undelivered;

pub use crate::domain::lineage::Basis;
pub use alert::{Alert, AlertMemory, Resolved};
pub use alert_news::{AlertGroup, AlertNewsView, AlertNight, ToldAlert};
pub use answers::{Answer, FourAnswers, State, Verdict};
pub use dictionary::{DictionaryColumn, DictionaryTable, DictionaryView};
pub use drift::{DriftView, FeatureDrift};
pub use failure::{FailedJob, FailureKind, FailureView};
pub use flagged::{FlaggedGroup, FlaggedTerm, PeopleCount, Student};
pub use history::{NIGHTS, RowsNight, SupportTerm, TableNights, Told};
pub use model::{Challenger, ChallengerState, Interval, ModelInUse, ModelView, PreviousModel, ToldVersion, WeekView};
pub use night::{DigestView, JobEnd, JobSpan, JobView, NightView, Pointer, ReportView};
pub use pages::{FolderEntry, FolderView, ModelCardView, ReasonFeature};
pub use reader::{ReaderFinding, ReaderTable, ReaderView};
pub use tables::{DeliveredRows, QualityView, TableView};
pub use undelivered::{UndeliveredMail, UndeliveredView};
