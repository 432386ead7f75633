//! Tells the operators, by an e-mail of its own, which recipients of a night have no e-mail: refused by the server, or
//! given up after two days.
//!
//! It goes to those of `mail.to` whose own address was not refused, once for what it says: another recipient of the
//! same night makes it a correction. That somebody was not told of it is itself not told: `nocturne doctor`,
//! `nocturne runs show` and the exit code of a run say so.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, warn};

use super::AppError;
use crate::config::{Config, SourceKind};
use crate::domain::delivery::{ExpectedMail, MailState, Recipient, UNDELIVERED};
use crate::domain::ids::DagName;
use crate::report::Renderer;
use crate::report::mail::{Addresses, compose, masked, recipients};
use crate::report::view::{UndeliveredMail, UndeliveredView};
use crate::store::{MailRow, Promise, StateStore};

/// How long an e-mail that was given up remains visible.
pub(super) const SHOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the operators are told with.
pub(super) struct Undelivered {
    institution: String,
    is_simulation: bool,
    from: String,
    contact: Option<String>,
    /// The list of those who run the nights.
    operators: Vec<String>,
    renderer: Renderer,
}

impl Undelivered {
    pub(super) fn new(config: &Config) -> Result<Self, AppError> {
        Ok(Self {
            institution: config.institution.name.clone(),
            is_simulation: config.sources.values().all(|source| source.kind == SourceKind::Simulation),
            from: config.mail.from.clone(),
            contact: config.mail.reply_to.clone(),
            operators: config.mail.to.clone(),
            renderer: Renderer::new().map_err(|error| AppError::Mail(error.into()))?,
        })
    }

    /// Puts an e-mail in the outbox for each night of which operators do not know yet who has no e-mail; returns how
    /// many e-mails wait because of it.
    pub(super) async fn tell(&self, store: &dyn StateStore, now: Timestamp) -> anyhow::Result<usize> {
        let open = store.mails_open(now.checked_sub(SHOWN).unwrap_or(Timestamp::MIN)).await?;
        let given_up: Vec<MailRow> = open.into_iter().filter(|mail| mail.state == MailState::GivenUp).collect();
        let refused: BTreeSet<String> = given_up.iter().map(|mail| mail.recipient.key()).collect();
        let mut nights: BTreeMap<(DagName, Date), Vec<&MailRow>> = BTreeMap::new();
        for mail in given_up.iter().filter(|mail| mail.id.key.audience != UNDELIVERED) {
            nights.entry((mail.id.key.dag.clone(), mail.id.key.logical_date)).or_default().push(mail);
        }
        if nights.is_empty() {
            return Ok(0);
        }
        let operators: Vec<Recipient> =
            recipients(&self.operators)?.into_iter().filter(|operator| !refused.contains(&operator.key())).collect();
        if operators.is_empty() {
            error!("E-mails could not be delivered, and no operator has an address that works: see `nocturne doctor`");
            return Ok(0);
        }
        let mut waiting = 0;
        for ((dag, date), mails) in nights {
            waiting += self.tell_of(store, &self.view(dag, date, &mails), (&operators, now)).await?;
        }
        Ok(waiting)
    }

    async fn tell_of(
        &self,
        store: &dyn StateStore,
        view: &UndeliveredView,
        (operators, now): (&[Recipient], Timestamp),
    ) -> anyhow::Result<usize> {
        let (dag, logical_date, signature) = (&view.dag, view.logical_date, view.signature());
        let there = store.mails_of(dag, logical_date).await?;
        let is_it = |mail: &MailRow| {
            let is_told = matches!(mail.state, MailState::Waiting | MailState::Sent);
            mail.id.key.audience == UNDELIVERED && is_told && mail.signature.as_ref() == Some(&signature)
        };
        // An operator whose address was added later, perhaps in its place, is not told any more.
        if there.iter().any(is_it) {
            return Ok(0);
        }
        let to = operators.to_vec();
        let email = self.renderer.undelivered(view)?;
        let addresses = Addresses {
            from: self.from.clone(),
            reply_to: self.contact.clone(),
            audience: UNDELIVERED.to_owned(),
            to: to.clone(),
            unsubscribe_url: None,
        };
        let notice = compose(&email, &addresses, now)?;
        let expected =
            |recipient: Recipient| ExpectedMail { audience: UNDELIVERED.to_owned(), recipient, deadline: None };
        let mails: Vec<ExpectedMail> = to.into_iter().map(expected).collect();
        store.promise_mail(Promise { dag, logical_date, run_id: None, skipped: None, mails: &mails }, now).await?;
        let waiting = store.notify(&notice, now).await?;
        warn!(%dag, logical_date = %logical_date, "Operators are told of undelivered e-mails: `{}`", notice.subject);
        Ok(waiting)
    }

    fn view(&self, dag: DagName, logical_date: Date, mails: &[&MailRow]) -> UndeliveredView {
        let mail = |row: &&MailRow| UndeliveredMail {
            audience: row.id.key.audience.clone(),
            to: masked(&row.recipient.address),
            subject: row.subject.clone().unwrap_or_else(|| "(no subject)".to_owned()),
            tries: row.tries,
            why: row.last_error.clone().unwrap_or_else(|| "no answer".to_owned()),
        };
        let mut mails: Vec<UndeliveredMail> = mails.iter().map(mail).collect();
        mails.sort_by(|a, b| (&a.audience, &a.to).cmp(&(&b.audience, &b.to)));
        UndeliveredView {
            institution: self.institution.clone(),
            dag,
            logical_date,
            is_simulation: self.is_simulation,
            mails,
            contact: self.contact.clone(),
        }
    }
}
