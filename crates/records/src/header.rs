//! The header: which plan the records belong to, and what wrote them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use rusqlite::types::Value;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::checks::{self, Sum};
use crate::checksum::Checksum;
use crate::error::RecordsError;
use crate::fields::Fields;
use crate::metric;
use crate::rows::each_row;

/// Which plan a directory belongs to, and what wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The plan as the user wrote it; the text of the last run replaces that of earlier ones, since a plan may grow.
    pub plan: String,
    /// What must not change while the directory is continued, by name: the keys whose values decide what a trial is.
    pub identity: BTreeMap<String, String>,
    /// Seed of every chip.
    pub seed: u64,
    /// Version of the program that wrote last.
    pub version: String,
    /// Version of the random stream that chips are drawn from.
    pub stream_version: u32,
    /// Version of the numeric contract that scores follow.
    pub numeric_contract: u32,
    /// Trials that the plan of the last run asks for: cells times chips; none in records of schema 3.
    #[serde(default)]
    pub trials_planned: Option<u64>,
}

impl Header {
    /// What keeps records under `self` from being continued as `other`: keys both name, with unlike values.
    ///
    /// A key that only one of them names is no difference: a plan may grow by a subject, and its keys with it. The seed, the
    /// stream version, the numeric contract and the list of metrics always count: a trial that is recorded without a metric
    /// can't be given one.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut differences: Vec<Difference> = [
            ("seed", self.seed.to_string(), other.seed.to_string()),
            ("stream_version", self.stream_version.to_string(), other.stream_version.to_string()),
            ("numeric_contract", self.numeric_contract.to_string(), other.numeric_contract.to_string()),
        ]
        .into_iter()
        .filter(|(_, recorded, requested)| recorded != requested)
        .map(|(key, recorded, requested)| Difference { key: key.to_owned(), recorded, requested })
        .collect();
        let metrics = |header: &Self| header.identity.get(metric::IDENTITY).cloned().unwrap_or_default();
        let (recorded, requested) = (metrics(self), metrics(other));
        if recorded != requested {
            differences.push(Difference { key: metric::IDENTITY.to_owned(), recorded, requested });
        }
        for (key, recorded) in &self.identity {
            let Some(requested) = other.identity.get(key) else { continue };
            if recorded != requested && !differences.iter().any(|difference| difference.key == *key) {
                differences.push(Difference {
                    key: key.clone(),
                    recorded: recorded.clone(),
                    requested: requested.clone(),
                });
            }
        }
        differences
    }
}

/// One key on which the recorded plan and the requested one disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Name of the key.
    pub key: String,
    /// What the directory was written with.
    pub recorded: String,
    /// What is asked for now.
    pub requested: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: recorded \"{}\", requested \"{}\"", self.key, self.recorded, self.requested)
    }
}

/// Writes a header over the one that is there.
pub(crate) fn write(connection: &Connection, header: &Header) -> rusqlite::Result<()> {
    let planned = header.trials_planned.map(|planned| ("trials_planned", planned.to_string()));
    let rows = [
        ("plan", header.plan.clone()),
        ("seed", header.seed.to_string()),
        ("version", header.version.clone()),
        ("stream_version", header.stream_version.to_string()),
        ("numeric_contract", header.numeric_contract.to_string()),
    ];
    let rows = rows.into_iter().chain(planned).map(|(key, value)| ("header", key.to_owned(), value));
    let identity = header.identity.iter().map(|(key, value)| ("identity", key.clone(), value.clone()));
    for (table, key, value) in rows.chain(identity) {
        let mut checksum = Checksum::default();
        checksum.values(table, &[Value::Text(key.clone()), Value::Text(value.clone())]);
        let sql = format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2, ?3)");
        connection.execute(&sql, params![key, value, checksum.finish()])?;
    }
    checks::seal(connection, "header")?;
    checks::seal(connection, "identity")
}

/// The header of a file of this schema version.
pub(crate) fn read(connection: &Connection, file: &Path, version: i64) -> Result<Header, RecordsError> {
    let pairs = |table: &'static str| -> Result<BTreeMap<String, String>, RecordsError> {
        let mut sum = Sum::of(table, version);
        let mut pairs = BTreeMap::new();
        let sql = format!("SELECT * FROM {table}");
        each_row(connection, file, ("reading the header", &sql), |row| {
            let key = || row.get_ref(0).ok().and_then(|key| key.as_str().ok()).unwrap_or("?").to_owned();
            let fields = Fields { row, file, table, key: &key };
            sum.row(&fields, 2)?;
            pairs.insert(fields.text(0, "key")?.to_owned(), fields.text(1, "value")?.to_owned());
            Ok::<_, RecordsError>(())
        })?;
        sum.check(connection, file)?;
        Ok(pairs)
    };
    let damaged =
        |place: String, reason: String| RecordsError::Damaged { path: file.to_owned(), place, reason };
    let (header, identity) = (pairs("header")?, pairs("identity")?);
    let take = |key: &str| {
        let missing = || damaged("table header".to_owned(), format!("there is no key {key}"));
        header.get(key).cloned().ok_or_else(missing)
    };
    let number = |key: &str| -> Result<u64, RecordsError> {
        parse(&take(key)?).map_err(|reason| damaged(format!("header {key}"), reason))
    };
    let small = |key: &str| -> Result<u32, RecordsError> {
        parse(&take(key)?).map_err(|reason| damaged(format!("header {key}"), reason))
    };
    Ok(Header {
        plan: take("plan")?,
        seed: number("seed")?,
        version: take("version")?,
        stream_version: small("stream_version")?,
        numeric_contract: small("numeric_contract")?,
        trials_planned: header
            .contains_key("trials_planned")
            .then(|| number("trials_planned"))
            .transpose()?,
        identity,
    })
}

fn parse<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|source: T::Err| source.to_string())
}
