//! The watchdog: sends what is owed when the deadline has passed and the owner of the state store is dead.
//!
//! A timer runs it; it reads the state store and changes nothing in it. For each DAG whose deadline has passed within
//! the last day it asks who has no e-mail yet. While an owner is running, that is the owner's task. Otherwise it sends
//! the digest if one is waiting, else a notice, through the configured transport, and leaves a claim (`claims`) that
//! the next owner records. Only one watchdog works at a time. When the night is well it requests `watchdog.ping_url`,
//! which tells its receiver nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, info, warn};

use super::claims::{self, Claim, Stage};
use super::deadlines::{Owed, WithoutDigest, night, notice};
use super::outbox::transport;
use super::{AppError, Dags};
use crate::config::{Config, Layers, Use, process_environment};
use crate::domain::clock::Clock;
use crate::domain::dag::Dag;
use crate::domain::delivery::{self, ExpectedMail, MailId, MailKey, MailState, Refusal, Signature, Word, webhook_of};
use crate::domain::schedule::{self, Slot};
use crate::engine::deadline::{self, Standing};
use crate::engine::{Promises as _, ownership};
use crate::report::Renderer;
use crate::report::mail::masked;
use crate::report::notice::NightEnd;
use crate::report::transport::Transport;
use crate::store::{self, DueMail, HandedOver, MailRow, Outgoing, RunFilter, StateStore, StoreError};
use crate::telemetry::SystemClock;

/// How long after a deadline it still sends e-mails.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// How long the state store may take to answer.
const STORE: Duration = Duration::from_secs(60);

/// How long the ping may take.
const PING: Duration = Duration::from_secs(20);

/// What the watchdog found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// Nobody is owed an e-mail.
    Well,
    /// Somebody is, and a running owner will send it.
    Owner,
    /// Another watchdog is running.
    Another,
    /// It handed over this many e-mails.
    Sent(usize),
    /// This many e-mails could not be handed over; some may have been.
    Failed(usize),
}

/// The watchdog.
pub struct Watchdog {
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    transport: Transport,
    renderer: Renderer,
}

/// A night whose deadline has passed.
struct Night<'a> {
    dag: &'a Dag,
    slot: Slot,
    deadline: Timestamp,
    owed: Vec<ExpectedMail>,
}

/// An e-mail to hand over.
struct ToSend {
    outgoing: Outgoing,
    claim: HandedOver,
}

impl Watchdog {
    /// Reads the configuration; opens nothing.
    ///
    /// # Errors
    /// With what is wrong in the configuration.
    pub fn open(files: &[PathBuf]) -> Result<Self, AppError> {
        let variables = process_environment();
        let config = Layers::read(files, variables.clone()).and_then(|layers| layers.config_for(Use::Looking));
        let config = config.map_err(AppError::Config)?;
        let transport = transport(&config, &variables)?;
        Self::with(config, transport, Arc::new(SystemClock))
    }

    /// Returns a watchdog with the given configuration, transport and clock.
    ///
    /// # Errors
    /// When the templates are not usable.
    pub fn with(config: Config, transport: Transport, clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        let renderer = Renderer::new().map_err(|error| AppError::Mail(error.into()))?;
        Ok(Self { config: Arc::new(config), clock, transport, renderer })
    }

    /// Checks once, and does what is needed.
    ///
    /// # Errors
    /// When neither the state store nor the claims can be used.
    pub async fn watch(&self) -> anyhow::Result<Watch> {
        let state = &self.config.paths.state;
        std::fs::create_dir_all(claims::folder(state)).context("making the folder of claims")?;
        let lock = File::create(claims::folder(state).join("lock")).context("making the watchdog's lock")?;
        if lock.try_lock().is_err() {
            return Ok(Watch::Another);
        }
        let files = Dags::of(&self.config);
        let store = self.store().await;
        let dags = match &store {
            // A file that is broken now still owes what it promised when it was valid.
            Ok(store) => files.as_last_valid(&**store).await?,
            Err(_) => files.all_that_are_valid(),
        };
        let now = self.clock.now();
        let pauses = match &store {
            Ok(store) => store.pauses().await?,
            Err(_) => Vec::new(),
        };
        let is_owed = |night: &Night<'_>| !pauses.iter().any(|pause| pause.covers(&night.dag.name, night.slot.at));
        let nights: Vec<Night<'_>> = dags.iter().filter_map(|dag| self.due(dag, now)).filter(is_owed).collect();
        match store {
            Ok(store) => self.watch_with(&*store, &nights, files.are_all_valid()).await,
            Err(error) => self.watch_blind(&nights, &error).await,
        }
    }

    async fn store(&self) -> Result<Arc<dyn StateStore>, String> {
        let looking = async { store::look(&self.config.state.url).await };
        match tokio::time::timeout(STORE, looking).await {
            Ok(Ok(store)) => Ok(store),
            Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::new(error))),
            Err(_) => Err(format!("no answer within {} s", STORE.as_secs())),
        }
    }

    /// Returns the DAG's last night whose deadline has passed within the last day, if it owes e-mails.
    fn due<'a>(&self, dag: &'a Dag, now: Timestamp) -> Option<Night<'a>> {
        let schedule = dag.schedule.as_ref()?;
        let from = now.checked_sub(TOLD_WITHIN * 2).ok()?;
        let slots = schedule::due_between(schedule, &dag.timezone, from, now).ok()?;
        let due = slots.into_iter().rev().find_map(|slot| {
            let deadline = delivery::deadline_of(dag, &slot)?;
            (deadline <= now && now.duration_since(deadline) < TOLD_WITHIN).then_some((slot, deadline))
        });
        let (slot, deadline) = due?;
        let owed = Owed(Arc::clone(&self.config)).expected(dag, &slot);
        (!owed.is_empty()).then_some(Night { dag, slot, deadline, owed })
    }

    async fn watch_with(
        &self,
        store: &dyn StateStore,
        nights: &[Night<'_>],
        mut is_well: bool,
    ) -> anyhow::Result<Watch> {
        let mut to_send = Vec::new();
        for night in nights {
            // A slot that was handled and promised nothing owes nothing; one that nothing took owes everything.
            let watermark = store.watermark(&night.dag.name).await?;
            let rows = store.mails_of(&night.dag.name, night.slot.date).await?;
            if rows.is_empty() && watermark.is_none_or(|taken| night.slot.at <= taken.at) {
                continue;
            }
            is_well &= rows
                .iter()
                .filter(|row| row.state == MailState::Sent)
                .max_by_key(|row| row.ended_at)
                .is_some_and(|last| last.signature.as_ref().is_none_or(|signature| signature.word.is_well()));
            to_send.extend(self.owed_of(store, night, &rows).await?);
        }
        if to_send.is_empty() {
            if is_well {
                self.ping().await;
            }
            return Ok(Watch::Well);
        }
        if self.owner_lives(Some(store)).await? {
            return Ok(Watch::Owner);
        }
        self.send_all(to_send).await
    }

    /// Works without the state store: sends every recipient one notice that the state is unknown.
    async fn watch_blind(&self, nights: &[Night<'_>], why: &str) -> anyhow::Result<Watch> {
        error!("The state store cannot be read: {why}");
        // An owner that holds the lock of a file has it open; that this process cannot read it is a separate problem.
        if self.config.state.url.starts_with("sqlite:") && self.owner_lives(None).await? {
            anyhow::bail!("a process owns the data folder, and the state store cannot be read from here: {why}");
        }
        let mut to_send = Vec::new();
        for due in nights {
            let end = NightEnd::Unreadable { why: why.to_owned() };
            to_send.extend(self.notices(due, end, None, &BTreeMap::new())?);
        }
        if to_send.is_empty() {
            anyhow::bail!("the state store cannot be read: {why}");
        }
        self.send_all(to_send).await
    }

    /// Returns what is owed to those who have no e-mail about a night: the waiting digest, or else a notice.
    async fn owed_of(&self, store: &dyn StateStore, due: &Night<'_>, rows: &[MailRow]) -> anyhow::Result<Vec<ToSend>> {
        let mut newest: BTreeMap<(String, String), &MailRow> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.state != MailState::Replaced) {
            newest.insert((row.id.key.audience.clone(), row.id.key.recipient.clone()), row);
        }
        let has_none = |mail: &ExpectedMail| {
            let row = newest.get(&(mail.audience.clone(), mail.recipient.key()));
            row.is_none_or(|row| matches!(row.state, MailState::Expected | MailState::Waiting))
        };
        let without: Vec<ExpectedMail> = due.owed.iter().filter(|mail| has_none(mail)).cloned().collect();
        if without.is_empty() {
            return Ok(Vec::new());
        }
        let mut waiting: Vec<ToSend> = Vec::new();
        // A webhook is called by the next owner: it is not among what is owed by a deadline.
        let is_mail = |mail: &DueMail| webhook_of(&mail.outgoing.to).is_none();
        for mail in store.mail_due(Timestamp::MAX).await?.into_iter().filter(is_mail) {
            let row = rows.iter().find(|row| row.id == mail.id);
            if let Some(row) = row {
                let signature = row.signature.clone().unwrap_or_else(|| Signature::new(Word::Look, Vec::new()));
                waiting.push(self.to_send(mail.outgoing, row.clone(), signature));
            }
        }
        let is_waiting = |mail: &ExpectedMail| {
            waiting.iter().any(|sent| {
                let key = &sent.claim.id.key;
                key.audience == mail.audience && key.recipient == mail.recipient.key()
            })
        };
        let unfilled: Vec<ExpectedMail> = without.into_iter().filter(|mail| !is_waiting(mail)).collect();
        if !unfilled.is_empty() {
            let revisions = newest.iter().map(|(key, row)| {
                let next = if row.state == MailState::Expected { row.id.revision } else { row.id.revision + 1 };
                (key.clone(), next)
            });
            let due = Night { dag: due.dag, slot: due.slot.clone(), deadline: due.deadline, owed: unfilled };
            let end = self.end_of(store, &due, rows).await?;
            let last = store.last_digest(&due.dag.name, due.slot.date).await?;
            waiting.extend(self.notices(&due, end, last, &revisions.collect())?);
        }
        Ok(waiting)
    }

    async fn end_of(&self, store: &dyn StateStore, due: &Night<'_>, rows: &[MailRow]) -> Result<NightEnd, StoreError> {
        let filter =
            RunFilter { dag: Some(due.dag.name.clone()), logical_date: Some(due.slot.date), ..RunFilter::default() };
        let runs = store.runs(&filter).await?;
        let promised_to = rows.iter().rev().find_map(|row| row.promised_to.as_ref());
        Ok(match deadline::standing(&runs, promised_to) {
            Standing::NeverBegan(_) => {
                NightEnd::NeverBegan { why: rows.iter().rev().find_map(|row| row.skipped.clone()) }
            }
            // It asks only when no owner is running.
            Standing::Running(run) => NightEnd::CutOff { jobs: store.jobs(&run.run_id).await?, run_id: run.run_id },
            Standing::Over(run) => NightEnd::Over { jobs: store.jobs(&run.run_id).await?, run_id: run.run_id },
        })
    }

    /// Returns a notice for each of a night's recipients; `revisions` are their numbers, 0 where nothing is known.
    fn notices(
        &self,
        due: &Night<'_>,
        end: NightEnd,
        last_digest: Option<jiff::civil::Date>,
        revisions: &BTreeMap<(String, String), u32>,
    ) -> anyhow::Result<Vec<ToSend>> {
        let now = self.clock.now();
        let known = WithoutDigest {
            name: &due.dag.name,
            dag: Some(due.dag),
            logical_date: due.slot.date,
            end,
            last_digest,
            deadline: Some(due.deadline),
            seen_at: now,
        };
        let night = night(&self.config, known);
        let mut notices = Vec::new();
        for mail in &due.owed {
            let record = notice(&self.config, &self.renderer, &night, (&mail.audience, vec![mail.recipient.clone()]))?;
            let key = MailKey {
                dag: due.dag.name.clone(),
                logical_date: due.slot.date,
                audience: mail.audience.clone(),
                recipient: mail.recipient.key(),
            };
            let revision = revisions.get(&(key.audience.clone(), key.recipient.clone())).copied().unwrap_or(0);
            let id = MailId { key, revision };
            let domain = record.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
            let message_id = id.message_id(domain);
            let message = Outgoing::joined(&mail.recipient.header, &message_id, &[], &record.body);
            let to = mail.recipient.address.clone();
            let outgoing = Outgoing { message_id: message_id.clone(), from: record.from.clone(), to, message };
            let claim = HandedOver {
                id,
                recipient: mail.recipient.clone(),
                signature: record.signature,
                message_id,
                from: record.from,
                subject: record.subject,
                at: now,
            };
            notices.push(ToSend { outgoing, claim });
        }
        Ok(notices)
    }

    fn to_send(&self, outgoing: Outgoing, row: MailRow, signature: Signature) -> ToSend {
        let claim = HandedOver {
            id: row.id,
            recipient: row.recipient,
            signature,
            message_id: outgoing.message_id.clone(),
            from: outgoing.from.clone(),
            subject: row.subject.unwrap_or_default(),
            at: self.clock.now(),
        };
        ToSend { outgoing, claim }
    }

    /// Hands over e-mails, each once: one that a claim says was sent or refused is skipped.
    async fn send_all(&self, to_send: Vec<ToSend>) -> anyhow::Result<Watch> {
        let state = &self.config.paths.state;
        let ended: Vec<String> = claims::read(state)?
            .into_iter()
            .filter(|(_, claim)| claim.stage != Stage::Begun)
            .map(|(_, claim)| claim.mail.message_id)
            .collect();
        let (mut sent, mut failed) = (0, 0);
        for ToSend { outgoing, mut claim } in to_send {
            if ended.contains(&claim.message_id) {
                continue;
            }
            let stage = |stage, mail: &HandedOver| Claim { version: claims::VERSION, stage, mail: mail.clone() };
            claims::write(state, &stage(Stage::Begun, &claim))?;
            match self.transport.send(&outgoing).await {
                Ok(_) => {
                    claim.at = self.clock.now();
                    claims::write(state, &stage(Stage::Sent, &claim))?;
                    sent += 1;
                }
                Err(error) => {
                    failed += 1;
                    if error.refusal() == Refusal::Permanent {
                        claims::write(state, &stage(Stage::Refused, &claim))?;
                    }
                    error!(mail.to = %masked(&outgoing.to), "{:#}", anyhow::Error::new(error));
                }
            }
        }
        Ok(match (sent, failed) {
            (0, 0) => Watch::Well,
            (sent, 0) => Watch::Sent(sent),
            (_, failed) => Watch::Failed(failed),
        })
    }

    /// Returns whether a process owns the state store. On a server this watches the store for some seconds.
    async fn owner_lives(&self, store: Option<&dyn StateStore>) -> anyhow::Result<bool> {
        Ok(match store {
            Some(store) => ownership::is_owned(store).await?.is_some(),
            // A lock can be checked even if the file behind it cannot be read.
            None => store::keep_from_owners(&self.config.state.url)?.is_none(),
        })
    }

    async fn ping(&self) {
        let Some(url) = &self.config.watchdog.ping_url else { return };
        let asked = async {
            let client = reqwest::Client::builder().timeout(PING).connect_timeout(PING).build()?;
            client.get(url).send().await?.error_for_status()?;
            Ok::<_, reqwest::Error>(())
        };
        match asked.await {
            Ok(()) => info!("Said to `watchdog.ping_url` that the night is well"),
            Err(error) => warn!("`watchdog.ping_url` did not answer: {:#}", anyhow::Error::new(error.without_url())),
        }
    }
}
