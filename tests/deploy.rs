//! What stands in `deploy/` fits the program: dashboards and alerts name metrics that exist, and
//! the unit, the image and the manifests name arguments and settings that are understood.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use prometheus_client::registry::Registry;
use ringbridge::telemetry::metric::sip::CallEnd;
use ringbridge::telemetry::metric::store::Operation;
use ringbridge::telemetry::metric::{self, Metrics};
use serde_json::Value;

fn read(path: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Names of all series that a scrape may show.
fn known() -> BTreeSet<String> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    // A family without a sample is not told: each gets one.
    let end = CallEnd {
        outcome: "success",
        reason: "caller_hung_up",
    };
    metrics.sip.calls_ended.get_or_create(&end).inc();
    metrics.store.done(Operation::Read, Duration::ZERO, true);
    metrics.http.answered("GET", "/", 200, Duration::ZERO);
    let page = metric::encode(&registry).expect("metrics can be written");
    let mut names = BTreeSet::from(["up".to_owned()]);
    for line in page.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = rest.split_once(' ').expect("name and kind");
        match kind {
            "counter" => names.insert(format!("{name}_total")),
            "histogram" => ["bucket", "sum", "count"]
                .iter()
                .all(|suffix| names.insert(format!("{name}_{suffix}"))),
            _ => names.insert(name.to_owned()),
        };
    }
    names
}

/// Words of an expression that look like metrics of ours.
fn named(expression: &str) -> Vec<&str> {
    expression
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("ringbridge_") || word.starts_with("process_"))
        .collect()
}

#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let board: Value = serde_json::from_str(&read("deploy/grafana/ringbridge.json")).expect("JSON");
    let known = known();
    let mut shown = 0;
    for panel in board["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            for name in named(target["expr"].as_str().expect("an expression")) {
                assert!(known.contains(name), "{}: no metric {name}", panel["title"]);
                shown += 1;
            }
        }
    }
    assert!(shown >= 30, "{shown}");
}

#[test]
fn the_alerts_watch_metrics_that_exist() {
    let known = known();
    let rules = read("deploy/prometheus/alerts.yml");
    let expressions: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .collect();
    assert_eq!(expressions.len(), rules.matches("- alert: ").count());
    assert!(expressions.len() >= 10);
    for expression in expressions {
        for name in named(expression) {
            assert!(known.contains(name), "no metric {name} in {expression}");
        }
    }
}

/// That `ringbridge check` understands these settings.
fn check(arguments: &[&str], environment: &[(&str, &str)]) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringbridge"))
        .arg("check")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{arguments:?} {environment:?}: {stderr}"
    );
}

#[test]
fn the_settings_of_unit_compose_and_manifests_are_understood() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/ringbridge.toml");
    check(&["--config", file.to_str().expect("UTF-8")], &[]);
    let unit = read("deploy/systemd/ringbridge.service");
    assert!(unit.contains("ExecStart=/usr/bin/ringbridge serve --config "));
    for text in [
        read("deploy/compose/compose.yml"),
        read("deploy/kubernetes/ringbridge.yaml"),
    ] {
        for variable in named_variables(&text) {
            let value = match variable.as_str() {
                "RINGBRIDGE_PUBLIC_ADDRESS" => "192.0.2.1",
                _ => "10m",
            };
            check(&[], &[(variable.as_str(), value)]);
        }
    }
    check(&["--data", "/data", "--drain-timeout", "10m"], &[]);
}

fn named_variables(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
    let found: Vec<String> = words
        .filter(|word| word.starts_with("RINGBRIDGE_"))
        .map(str::to_owned)
        .collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn fail2ban_reads_the_lines_that_are_written() {
    // The lines themselves are asserted in tests/e2e/attack_password.rs.
    let filter = read("deploy/fail2ban/filter.d/ringbridge.conf");
    for words in ["sip authentication failed", "sip source banned"] {
        assert!(
            filter.contains(&format!("{words} source=<HOST>")),
            "{words}"
        );
    }
}
