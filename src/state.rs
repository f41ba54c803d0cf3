//! The cluster's configuration as one document: read out whole, and put back all or nothing.

mod arrivals;
mod check;
mod difference;
mod entries;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::rest::{Change, ChangeKind, StateBackend, StateChanges, StateDocument, StateFrontend, VERSION};
use crate::store::{self, Ending, Store, StoreError, Transaction, Work};

pub(crate) use difference::lines;

/// How a document is put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Delete the frontends and backends that are not in the document, and so end or detach their meetings.
    pub delete: bool,
    /// Only say what would change.
    pub dry_run: bool,
    /// It comes from another system, which does not know everything that is set here. What only exists here stays.
    pub moving: bool,
    /// The fingerprint of the changes that an operator has agreed to.
    pub fingerprint: Option<String>,
}

/// Why a document was not put back. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The document is wrong.
    #[error("{}", check::in_a_line(fields))]
    Invalid {
        /// Problems of fields, by path in the document.
        fields: BTreeMap<String, Vec<String>>,
    },
    /// The cluster was changed since an operator agreed to the document's changes.
    #[error("the cluster was changed meanwhile, and the document would change something else now")]
    Moved,
    /// The database could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every frontend by its key and every backend by its URL. The same cluster always gives the same document.
///
/// # Errors
/// [`StoreError::Row`] when a row cannot be read: a document without it might delete it.
pub async fn export(store: &Store) -> Result<StateDocument, StoreError> {
    let kept = store::configuration(store).await?;
    Ok(StateDocument {
        version: VERSION,
        frontends: kept.frontends.into_iter().map(|frontend| StateFrontend::kept(frontend).entry).collect(),
        backends: kept.backends.into_iter().map(|backend| StateBackend::kept(backend).entry).collect(),
        meetings: Vec::new(),
        history: Vec::new(),
        recordings: Vec::new(),
    })
}

/// Changes the cluster to the document, and returns the changes. Equal rows are not touched.
///
/// # Errors
/// [`StateError::Invalid`] names everything that is wrong with the document.
pub async fn import(
    store: &Store,
    document: &StateDocument,
    options: ImportOptions,
) -> Result<StateChanges, StateError> {
    let ending = if options.dry_run { Ending::Rollback } else { Ending::Commit };
    let (changes, notes) = store.transaction(&PutBack { document, options: &options }, ending).await?;
    let fingerprint = Some(fingerprint(&changes));
    Ok(StateChanges { applied: !options.dry_run, changes, fingerprint, notes })
}

/// An entry of the document that is a row of a table.
trait Entry: Clone + serde::Serialize {
    /// The row in the domain.
    type Record;
    /// The word for it.
    const WHAT: &'static str;

    /// The entry of a row.
    fn kept(record: Self::Record) -> Kept<Self>;
    /// Every value in the one way in which it is compared and kept.
    fn normal(&self) -> Self;
    /// An entry of another system with what only exists here.
    fn moved_onto(self, there: &Self) -> Self;
    /// An entry of that name that says nothing else.
    fn blank(&self) -> Self;
    /// Its key or host.
    fn name(&self) -> &str;
    /// The identity it brings.
    fn id(&self) -> Option<Uuid>;
    /// The row that it describes, or the fields that cannot be kept. `is_kept`: it has that name already.
    fn record(&self, id: Uuid, is_kept: bool) -> Result<Self::Record, Vec<(String, String)>>;
}

/// A row.
struct Kept<T> {
    id: Uuid,
    entry: T,
}

/// The change of one row.
enum Step<'a, T> {
    Add(Uuid, &'a T),
    Change(&'a Kept<T>, &'a T),
    Delete(&'a Kept<T>),
}

/// Changing the cluster to a document.
struct PutBack<'a> {
    document: &'a StateDocument,
    options: &'a ImportOptions,
}

impl Work for PutBack<'_> {
    const TASK: &'static str = "import a state";
    type Done = (Vec<Change>, Vec<String>);
    type Error = StateError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Self::Done, StateError> {
        let Self { document, options } = *self;
        let delete = options.delete;
        let kept = transaction.lock_configuration().await?;
        let kept_frontends: Vec<_> = kept.frontends.into_iter().map(StateFrontend::kept).collect();
        let kept_backends: Vec<_> = kept.backends.into_iter().map(StateBackend::kept).collect();
        let (document, notes) = if options.moving {
            let (document, notes) = making_way(document, &kept_frontends, &kept_backends);
            (Cow::Owned(document), notes)
        } else {
            (Cow::Borrowed(document), Vec::new())
        };
        let fields = check::problems(&document, &kept_frontends, &kept_backends, delete);
        if !fields.is_empty() {
            return Err(StateError::Invalid { fields });
        }
        let frontends = wanted(&document.frontends, &kept_frontends, options);
        let backends = wanted(&document.backends, &kept_backends, options);
        let frontend_steps = steps(&kept_frontends, &frontends, delete);
        let backend_steps = steps(&kept_backends, &backends, delete);
        transaction.change_frontends(&records(&frontend_steps)?).await?;
        transaction.change_backends(&records(&backend_steps)?).await?;
        let mut changes: Vec<_> = frontend_steps.iter().map(change).collect();
        changes.extend(backend_steps.iter().map(change));
        let places = arrivals::Places {
            frontends: ids(&kept_frontends, &frontend_steps),
            backends: ids(&kept_backends, &backend_steps),
        };
        changes.extend(arrivals::meetings(transaction, &document.meetings, &places).await?);
        changes.extend(arrivals::history(transaction, &document.history, &places).await?);
        changes.extend(arrivals::recordings(transaction, &document.recordings, &places).await?);
        match &options.fingerprint {
            Some(agreed) if *agreed != fingerprint(&changes) => Err(StateError::Moved),
            Some(_) | None => Ok((changes, notes)),
        }
    }
}

/// A document of another system without what belongs to others here: the identities of entries that have another name by now, and
/// the agents of backends that it does not have any more. The notes list them.
fn making_way(
    document: &StateDocument,
    frontends: &[Kept<StateFrontend>],
    backends: &[Kept<StateBackend>],
) -> (StateDocument, Vec<String>) {
    let (mut document, mut notes) = (document.clone(), Vec::new());
    let hosts: HashSet<String> = document.backends.iter().map(|entry| entries::host(&entry.host)).collect();
    let others = backends.iter().map(|kept| &kept.entry).filter(|entry| !hosts.contains(&entry.host));
    let agents: HashMap<&str, &str> =
        others.filter_map(|entry| Some((entry.agent_ref.as_deref()?, &*entry.host))).collect();
    let keys = owners(frontends);
    for entry in &mut document.frontends {
        notes.extend(without_id(StateFrontend::WHAT, &mut entry.id, &entry.key, &keys));
    }
    let urls = owners(backends);
    for entry in &mut document.backends {
        let host = entries::host(&entry.host);
        notes.extend(without_id(StateBackend::WHAT, &mut entry.id, &host, &urls));
        let owner = entry.agent_ref.as_deref().and_then(|agent| agents.get(agent));
        if let Some((owner, agent)) = owner.and_then(|owner| Some((owner, entry.agent_ref.take()?))) {
            notes.push(format!(
                "The agent `{agent}` of the backend `{host}` was left out: the backend `{owner}` has it here."
            ));
        }
    }
    (document, notes)
}

/// Takes away an identity that an entry of another name has here, and says so.
fn without_id(what: &str, id: &mut Option<Uuid>, name: &str, owners: &HashMap<Uuid, &str>) -> Option<String> {
    let owner = owners.get(&(*id)?).filter(|owner| **owner != name)?;
    let id = id.take()?;
    Some(format!("The id {id} of the {what} `{name}` was left out: the {what} `{owner}` has it here."))
}

/// The names of the rows by their identities.
fn owners<T: Entry>(kept: &[Kept<T>]) -> HashMap<Uuid, &str> {
    kept.iter().map(|kept| (kept.id, kept.entry.name())).collect()
}

/// The wanted entries.
fn wanted<T: Entry>(entries: &[T], kept: &[Kept<T>], options: &ImportOptions) -> Vec<T> {
    let there: HashMap<&str, &T> = kept.iter().map(|kept| (kept.entry.name(), &kept.entry)).collect();
    let entries = entries.iter().map(Entry::normal);
    let onto = |entry: T| match there.get(entry.name()) {
        Some(there) if options.moving => entry.moved_onto(there),
        Some(_) | None => entry,
    };
    entries.map(onto).collect()
}

/// Names changes: of the same ones it is the same.
fn fingerprint(changes: &[Change]) -> String {
    let digest = Sha256::digest(serde_json::to_vec(changes).unwrap_or_default());
    digest[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The changes that lead to the wanted rows, in the order of the document and then of the table.
fn steps<'a, T: Entry>(kept: &'a [Kept<T>], wanted: &'a [T], delete: bool) -> Vec<Step<'a, T>> {
    let there: HashMap<&str, &Kept<T>> = kept.iter().map(|kept| (kept.entry.name(), kept)).collect();
    let differs = |kept: &Kept<T>, wanted: &T| !lines(&kept.entry, wanted).is_empty();
    let mut steps: Vec<_> = wanted
        .iter()
        .filter_map(|wanted| match there.get(wanted.name()) {
            None => Some(Step::Add(wanted.id().unwrap_or_else(Uuid::now_v7), wanted)),
            Some(kept) => differs(kept, wanted).then_some(Step::Change(kept, wanted)),
        })
        .collect();
    if delete {
        let named: HashSet<&str> = wanted.iter().map(Entry::name).collect();
        steps.extend(kept.iter().filter(|kept| !named.contains(kept.entry.name())).map(Step::Delete));
    }
    steps
}

/// The steps as changes of rows.
fn records<T: Entry>(steps: &[Step<'_, T>]) -> Result<Vec<store::Step<T::Record>>, StateError> {
    let record = |entry: &T, id: Uuid, is_kept: bool| {
        let named = |(field, problem)| (format!("{}: {field}", entry.name()), vec![problem]);
        let invalid = |problems: Vec<_>| StateError::Invalid { fields: problems.into_iter().map(named).collect() };
        entry.record(id, is_kept).map_err(invalid)
    };
    let step = |step: &Step<'_, T>| match step {
        Step::Add(id, wanted) => record(wanted, *id, false).map(store::Step::Add),
        Step::Change(kept, wanted) => record(wanted, kept.id, true).map(store::Step::Change),
        Step::Delete(kept) => Ok(store::Step::Delete(kept.id)),
    };
    steps.iter().map(step).collect()
}

fn change<T: Entry>(step: &Step<'_, T>) -> Change {
    let (kind, entry, details) = match step {
        Step::Add(_, wanted) => (ChangeKind::Add, *wanted, difference::values(&wanted.blank(), *wanted)),
        Step::Change(kept, wanted) => (ChangeKind::Change, *wanted, lines(&kept.entry, *wanted)),
        Step::Delete(kept) => (ChangeKind::Delete, &kept.entry, Vec::new()),
    };
    Change { kind, what: T::WHAT.to_owned(), name: entry.name().to_owned(), details }
}

/// The rows' identities once the steps are done, by their names.
fn ids<'a, T: Entry>(kept: &'a [Kept<T>], steps: &[Step<'a, T>]) -> HashMap<&'a str, Uuid> {
    let before = kept.iter().map(|kept| (kept.entry.name(), kept.id));
    let added = steps.iter().filter_map(|step| match step {
        Step::Add(id, wanted) => Some((wanted.name(), *id)),
        Step::Change(..) | Step::Delete(_) => None,
    });
    before.chain(added).collect()
}
