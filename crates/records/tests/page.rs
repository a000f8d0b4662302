//! The pages docs/formats/records.md and export.md are exact: a reader made from them alone finds the same checksums and digests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use fixture::{cell, golden, header, scores, trial};
use radhard_records::{Covers, FILE, Golden, Metrics, Noticed, ProtectionCost, Store, TimeRatio, Trial};
use rusqlite::Connection;
use rusqlite::types::Value;
use sha2::{Digest, Sha256};

/// 1598365257958993.25, halfway between two decimals of 16 digits.
const TIE: f64 = 6_393_461_031_835_973.0 / 4.0;

fn metrics(value: Option<f64>) -> Metrics {
    BTreeMap::from([("auc_logit".to_owned(), value)])
}

/// Records with everything that a table can hold.
fn written(dir: &FilePath) -> Store {
    let mut identity = header();
    identity.identity.insert("metrics".into(), "auc_logit".into());
    identity.trials_planned = Some(40);
    let mut store = Store::create_or_continue(dir, &identity).unwrap();
    for protection in ["none", "ranger"] {
        store.put_golden(&Golden { metrics: metrics(Some(0.75)), ..golden("f,\"m", protection) }).unwrap();
    }
    let subject = golden("f,\"m", "ranger").subject;
    store
        .put_protection(&ProtectionCost {
            subject,
            memory_bits: 640,
            memory_share: 1.0 / 3.0,
            operations_per_sample: 1e16,
            calibration_rows: 100,
            checks: 7,
            false_alarms_per_million: Some(0.0),
            acts_on_clean: true,
            time: Some(TimeRatio { median: 1.1, low: 1.0, high: 1.2, n: 15 }),
            assumptions: "the bounds of layers, all".into(),
            bounds: Some("{\"ranger\":{\"mlp\":[0.0,1.5]}}".into()),
        })
        .unwrap();
    for (protection, ber) in [("none", 1e-5), ("none", 0.01), ("ranger", 1e-5)] {
        let mut cell = cell("f,\"m", "all", ber);
        cell.key.protection = protection.into();
        let id = store.put_cell(&cell).unwrap();
        let of = |chip| {
            let value = if chip % 2 == 0 { Some(0.75) } else { None };
            let noticed = Noticed { rows_missed: chip, ..trial(chip).noticed };
            (id, Trial { metrics: metrics(value), noticed, ..trial(chip) })
        };
        store.append(&(0..6).map(of).collect::<Vec<_>>()).unwrap();
        // A tie of two shortest decimals, and values at which the notation changes.
        let mut odd = of(6);
        odd.1.scores = scores(0.8, 1);
        odd.1.scores.rmse = Some(TIE);
        odd.1.scores.max_abs_difference = Some(f64::INFINITY);
        odd.1.scores.calibration = Some(9.999e-5);
        store.append(&[odd]).unwrap();
    }
    store
}

/// Bytes as hexadecimal digits.
fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A double as the page says, from its exact decimal expansion.
fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if value == 0.0 {
        return "0.0".into();
    }
    // All 17 digits and more: the expansion of a double ends after at most 767 of them.
    let exact = format!("{:.800e}", value.abs());
    let (digits, exponent) = exact.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b'.').map(|byte| byte - b'0').collect();
    let (digits, exponent) = (1..).find_map(|count| shortest(value.abs(), &digits, exponent, count)).unwrap();
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let sign = if value < 0.0 { "-" } else { "" };
    if (1e-4..1e16).contains(&value.abs()) {
        let point = exponent + 1;
        let text = if point <= 0 {
            format!("0.{}{digits}", "0".repeat(-point as usize))
        } else {
            let padded = format!("{digits:0<width$}", width = point as usize);
            let (whole, rest) = padded.split_at(point as usize);
            format!("{whole}.{}", if rest.is_empty() { "0" } else { rest })
        };
        return format!("{sign}{text}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e{exponent}")
}

/// The decimal of so many digits that reads back to the value and is closest to it, of two equally close ones the larger; its
/// digits and the exponent of the first one.
fn shortest(value: f64, exact: &[u8], exponent: i32, count: usize) -> Option<(String, i32)> {
    let below: u128 = exact[..count].iter().fold(0, |sum, digit| sum * 10 + u128::from(*digit));
    let rest = &exact[count..];
    let reads_back = |digits: u128| {
        let text = format!("{digits}e{}", exponent - count as i32 + 1);
        text.parse::<f64>() == Ok(value)
    };
    let half = rest.first().is_some_and(|digit| *digit >= 5);
    let closest_first = if half { [below + 1, below] } else { [below, below + 1] };
    let digits = closest_first.into_iter().find(|digits| reads_back(*digits))?;
    let text = digits.to_string();
    let exponent = exponent + text.len() as i32 - count as i32;
    Some((text, exponent))
}

#[test]
fn floats_follow_the_rule_of_the_page() {
    for (value, text) in [
        (0.8, "0.8"),
        (1.0, "1.0"),
        (0.00012, "0.00012"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e16"),
        (1.5e-5, "1.5e-5"),
        (5e-324, "5e-324"),
        (TIE, "1598365257958993.3"),
        (2.0_f64.powi(-44), "5.684341886080802e-14"),
        (9.999e-5, "9.999e-5"),
        (f64::MAX, "1.7976931348623157e308"),
        (-0.1, "-0.1"),
    ] {
        assert_eq!((float(value).as_str(), format!("{value:?}").as_str()), (text, text));
    }
    let mut state = 1_u64;
    for i in 0..20_000_u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // All exponents, powers of two, and doubles with a fraction of two bits, where ties are.
        let value = match i % 3 {
            0 => f64::from_bits(state >> 1),
            1 => 2.0_f64.powi((state >> 53) as i32 % 1000 - 500),
            _ => (state >> 11) as f64 / 8.0,
        };
        if value.is_finite() {
            assert_eq!(float(value), format!("{:?}", value + 0.0));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => float(*real),
        Value::Text(text) => text.clone(),
        Value::Blob(_) => panic!("no column is a blob"),
    }
}

fn yes(value: &Value) -> String {
    (*value == Value::Integer(1)).to_string()
}

fn line(out: &mut String, fields: impl IntoIterator<Item = String>) {
    let quoted = fields.into_iter().map(|field| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field
        }
    });
    out.push_str(&quoted.collect::<Vec<_>>().join(","));
    out.push('\n');
}

fn rows(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(sql).unwrap();
    let count = statement.column_count();
    let rows = statement.query_map([], |row| (0..count).map(|column| row.get(column)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The canonical export, from the tables alone.
fn canonical(connection: &Connection, all: bool) -> String {
    let mut out = String::new();
    for golden in rows(connection, "SELECT * FROM goldens ORDER BY model, data, protection") {
        let key = |place: usize| text(&golden[place]).replace('\'', "''");
        let place = format!("model = '{}' AND data = '{}' AND protection = '{}'", key(0), key(1), key(2));
        let mut fields = vec!["golden".to_owned()];
        fields.extend([0, 1, 2, 3, 4].map(|column| text(&golden[column])));
        fields.push(yes(&golden[5]));
        fields.extend([6, 7, 8, 10].map(|column| text(&golden[column])));
        fields.extend(golden[11..36].iter().map(text));
        for metric in
            rows(connection, &format!("SELECT name, value FROM golden_metrics WHERE {place} ORDER BY name"))
        {
            fields.extend(["metric".to_owned(), text(&metric[0]), text(&metric[1])]);
        }
        line(&mut out, fields);
        if all {
            for cost in rows(connection, &format!("SELECT * FROM protections WHERE {place}")) {
                let mut fields = vec!["protection".to_owned()];
                fields.extend((3..9).map(|column| text(&cost[column])));
                fields.extend([yes(&cost[9]), text(&cost[14]), text(&cost[15])]);
                line(&mut out, fields);
            }
        }
    }
    for cell in
        rows(connection, "SELECT * FROM cells ORDER BY model, data, target, error_model, ber, protection")
    {
        let mut fields: Vec<String> = (1..8).map(|column| text(&cell[column])).collect();
        fields.extend(["cell".to_owned(), text(&cell[8]), text(&cell[9])]);
        line(&mut out, fields);
        let number = text(&cell[0]);
        for trial in rows(connection, &format!("SELECT * FROM trials WHERE cell = {number} ORDER BY chip")) {
            let chip = text(&trial[1]);
            let of_trial =
                rows(connection, &format!("SELECT * FROM scores WHERE cell = {number} AND chip = {chip}"));
            let of_golden = rows(
                connection,
                &format!(
                    "SELECT g.* FROM goldens g JOIN cells USING (model, data, protection) WHERE cell = {number}"
                ),
            );
            let mut fields = vec![chip.clone(), text(&trial[2]), text(&trial[4])];
            match of_trial.first() {
                Some(scores) => fields.extend(scores[2..27].iter().map(text)),
                None => fields.extend(of_golden[0][11..36].iter().map(text)),
            }
            let golden_metrics = format!(
                "SELECT g.name, g.value FROM golden_metrics g JOIN cells USING (model, data, protection)
                 WHERE cell = {number} ORDER BY name"
            );
            for metric in rows(connection, &golden_metrics) {
                let name = text(&metric[0]);
                let own = format!(
                    "SELECT value FROM metrics WHERE cell = {number} AND chip = {chip} AND name = '{name}'"
                );
                let value =
                    rows(connection, &own).first().map_or_else(|| metric[1].clone(), |own| own[0].clone());
                fields.extend(["metric".to_owned(), name, text(&value)]);
            }
            line(&mut out, fields);
            if all {
                let mut fields = vec!["noticed".to_owned()];
                fields.extend((6..17).map(|column| text(&trial[column])));
                line(&mut out, fields);
            }
        }
    }
    out
}

#[test]
fn digests_are_those_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let store = written(dir.path());
    let connection = Connection::open(dir.path().join(FILE)).unwrap();
    for (covers, all) in [(Covers::Scores, false), (Covers::All, true)] {
        let by_the_page = canonical(&connection, all);
        let written = String::from_utf8(store.write_canonical(Vec::new(), covers).unwrap()).unwrap();
        assert_eq!(by_the_page, written);
        let hash = hex(Sha256::digest(&by_the_page));
        assert_eq!(store.digest_of(covers).unwrap(), hash);
    }
    let text = canonical(&connection, true);
    for part in [
        "1598365257958993.3",
        "inf",
        "9.999e-5",
        "metric,auc_logit,0.75\n",
        "metric,auc_logit,\n",
        "\"f,\"\"m\"",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

/// The bytes of a row in its checksum.
fn taken(table: &str, values: &[Value]) -> Vec<u8> {
    let text = |text: &str| [&[3][..], &(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut out = text(table);
    for value in values {
        match value {
            Value::Null => out.push(0),
            Value::Integer(integer) => out.extend([&[1][..], &integer.to_le_bytes()].concat()),
            Value::Real(real) => out.extend([&[2][..], &(real + 0.0).to_le_bytes()].concat()),
            Value::Text(of) => out.extend(text(of)),
            Value::Blob(_) => panic!("no column is a blob"),
        }
    }
    out
}

/// CRC-32 bit by bit.
fn crc32(bytes: &[u8]) -> i64 {
    let mut crc = 0xffff_ffff_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    i64::from(!crc)
}

#[test]
fn checksums_are_those_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).close().unwrap();
    let connection = Connection::open(dir.path().join(FILE)).unwrap();
    let mut sums: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    let mut add = |part: &str, cell: i64, checksum: i64| {
        let (rows, sum) = sums.entry((part.to_owned(), cell)).or_default();
        *rows += 1;
        *sum += checksum;
    };
    for table in ["header", "identity", "goldens", "protections", "cells", "trials"] {
        for row in rows(&connection, &format!("SELECT * FROM {table}")) {
            let (Some(Value::Integer(checksum)), values) = (row.last(), &row[..row.len() - 1]) else {
                panic!("{table}")
            };
            let mut bytes = taken(table, values);
            let mut cell = 0;
            if table == "trials" {
                let (Value::Integer(number), Value::Integer(chip)) = (&row[0], &row[1]) else {
                    panic!("{row:?}")
                };
                cell = *number;
                for (table, order) in [("scores", ""), ("metrics", " ORDER BY name")] {
                    let sql = format!("SELECT * FROM {table} WHERE cell = {cell} AND chip = {chip}{order}");
                    for row in rows(&connection, &sql) {
                        bytes.extend(taken(table, &row));
                    }
                }
            }
            if table == "goldens" {
                let sql = format!(
                    "SELECT * FROM golden_metrics WHERE protection = '{}' ORDER BY name",
                    text(&row[2])
                );
                for row in rows(&connection, &sql) {
                    bytes.extend(taken("golden_metrics", &row));
                }
            }
            assert_eq!(*checksum, crc32(&bytes), "{table} {row:?}");
            add(table, cell, *checksum);
        }
    }
    let written: BTreeMap<_, _> = rows(&connection, "SELECT * FROM checks")
        .into_iter()
        .map(|row| match &row[..] {
            [Value::Text(part), Value::Integer(cell), Value::Integer(rows), Value::Integer(sum)] => {
                ((part.clone(), *cell), (*rows, *sum))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(written, sums);
}
