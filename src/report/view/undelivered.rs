//! The e-mail that tells operators whom an e-mail of a night could not be delivered to, why, and what to do.
//!
//! It names recipients by their masked address only, and needs nothing but the rows of the outbox.

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Signature, Word};
use crate::domain::ids::DagName;

/// What operators must know of e-mails that were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndeliveredView {
    /// Whose night it is.
    pub institution: String,
    /// The DAG.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// The e-mails, by audience and recipient; at least one.
    pub mails: Vec<UndeliveredMail>,
    /// Whom to ask, in words.
    pub contact: Option<String>,
}

/// An e-mail that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndeliveredMail {
    /// The job that wrote it.
    pub audience: String,
    /// Its recipient, masked.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// How often it was tried.
    pub tries: u32,
    /// Why it was given up: a fragment, in the server's words where it said something.
    pub why: String,
}

impl UndeliveredView {
    /// Returns what it says, in so far as a change in it is worth another e-mail.
    pub fn signature(&self) -> Signature {
        Signature::new(
            Word::Undelivered,
            self.mails.iter().map(|mail| format!("{} {}", mail.audience, mail.to)).collect(),
        )
    }

    /// Returns what to do, in order: sentences.
    pub fn steps(&self) -> Vec<String> {
        let (dag, date) = (&self.dag, self.logical_date);
        let mut audiences: Vec<&str> = self.mails.iter().map(|mail| mail.audience.as_str()).collect();
        audiences.dedup();
        let routes: Vec<&str> = audiences.iter().filter_map(|audience| audience.strip_prefix("alerts.")).collect();
        audiences.retain(|audience| !audience.starts_with("alerts."));
        let mut steps = Vec::new();
        if !audiences.is_empty() {
            let jobs: Vec<String> = audiences.iter().map(|job| format!("`{job}`")).collect();
            steps.push(format!(
                "Correct the address or take it out: it stands in `mail.to`, in `mail.readers`, or in `to` of the job {} of \
                 the DAG `{dag}`. If the address is right, ask those who run the mail server why it refuses.",
                jobs.join(" or ")
            ));
        }
        for route in &routes {
            steps.push(format!(
                "Correct the recipients of the route in `alerts.routes.{route}`, and try it: `nocturne alerts test {route}`."
            ));
        }
        steps.push("Check the lists and the server: `nocturne config check`, then `nocturne doctor`.".to_owned());
        if !audiences.is_empty() {
            let again: Vec<String> =
                audiences.iter().map(|job| format!("`nocturne run {dag} --date {date} --job {job} --force`")).collect();
            steps.push(format!(
                "Send this night's e-mail to those who have none: {}. Nobody gets it twice.",
                again.join(", ")
            ));
        }
        steps
    }

    /// Returns an invented e-mail.
    pub fn sample() -> Self {
        let mail = |to: &str, tries, why: &str| UndeliveredMail {
            audience: "digest".to_owned(),
            to: to.to_owned(),
            subject: "[nocturne] OK · nightly 2026-11-20".to_owned(),
            tries,
            why: why.to_owned(),
        };
        Self {
            institution: "Riverbend University".to_owned(),
            dag: "nightly".parse().expect("the name is valid"),
            logical_date: date(2026, 11, 20),
            is_simulation: false,
            mails: vec![
                mail(
                    "d…@riverbend.example",
                    1,
                    "handing over the e-mail at the SMTP server mail.riverbend.example:587: permanent error (550): 5.1.1 \
                     <d…@riverbend.example> no such user; check that the server accepts this recipient and this message",
                ),
                mail("p…@partner.example", 14, "it waited for two days, and later nights have their own"),
            ],
            contact: Some("Learning Analytics, analytics@riverbend.example".to_owned()),
        }
    }
}
