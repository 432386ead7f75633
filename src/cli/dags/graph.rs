//! `nocturne dags graph`: a DAG's jobs in the order in which they run, as text or as Mermaid.

use crate::app::Dags;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::domain::dag::{Dag, When};
use crate::domain::ids::JobName;

/// Draw a DAG's jobs in the order in which they run.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The DAG.
    dag: String,
    /// The format: text, or a Mermaid flowchart for a Markdown page.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The format in which a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Mermaid,
}

pub(super) fn run(dags: &Dags, args: &Args, global: &Global) -> Result<ExitCode, Failure> {
    let dag = dags.one(&args.dag)?;
    if global.json {
        let edges = dag.jobs.values().flat_map(|job| job.needs.iter().map(move |need| (need, &job.name, job.when)));
        let edges: Vec<_> =
            edges.map(|(from, to, when)| serde_json::json!({ "from": from, "to": to, "when": when })).collect();
        let jobs: Vec<&JobName> = dag.in_order().iter().map(|job| &job.name).collect();
        output::json(&serde_json::json!({ "dag": dag.name, "jobs": jobs, "edges": edges }))?;
        return Ok(ExitCode::Done);
    }
    let drawn = match args.format {
        Format::Text => text(&dag),
        Format::Mermaid => mermaid(&dag),
    };
    output::line(drawn.trim_end())?;
    Ok(ExitCode::Done)
}

/// Returns the lines of the graph: the jobs of one column may run at the same time.
fn text(dag: &Dag) -> String {
    let mut drawn = String::new();
    let depths = dag.depths();
    let width = dag.jobs.keys().map(|name| name.as_str().len()).max().unwrap_or(0);
    for job in dag.in_order() {
        let indent = "    ".repeat(depths.get(&job.name).copied().unwrap_or(0));
        let needs: Vec<&str> = job.needs.iter().map(JobName::as_str).collect();
        let after = match (needs.is_empty(), rule(job.when)) {
            (true, _) => String::new(),
            (false, "") => format!("after {}", needs.join(", ")),
            (false, rule) => format!("after {} ({rule})", needs.join(", ")),
        };
        let name = format!("{indent}{:<width$}", job.name.as_str());
        drawn.push_str(format!("{name}  {after}").trim_end());
        drawn.push('\n');
    }
    drawn
}

fn mermaid(dag: &Dag) -> String {
    let mut drawn = String::from("flowchart LR\n");
    for job in dag.in_order() {
        drawn.push_str(&format!("    {}[\"{}<br/>{}\"]\n", id(&job.name), job.name, job.kind));
    }
    for job in dag.in_order() {
        for need in &job.needs {
            let arrow = match rule(job.when) {
                "" => "-->".to_owned(),
                rule => format!("-. {rule} .->"),
            };
            drawn.push_str(&format!("    {} {arrow} {}\n", id(need), id(&job.name)));
        }
    }
    drawn
}

/// Returns a name that Mermaid accepts for a node: some words are reserved.
fn id(job: &JobName) -> String {
    format!("job_{}", job.as_str().replace('-', "_"))
}

/// Returns the rule of a job in words; empty for the usual one.
const fn rule(when: When) -> &'static str {
    match when {
        When::AllSuccess => "",
        When::AllDone => "when all are done",
        When::OneFailed => "when one failed",
        When::NoneFailed => "when none failed",
        When::OneSuccess => "when one succeeded",
        When::Always => "at once",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::{DagFile, parse_dag};
    use crate::jobs::KindNames;

    fn dag() -> Dag {
        let text = "name = \"d\"\n[jobs.a-1]\nkind = \"command\"\nwith = { program = \"true\" }\n\
                    [jobs.end]\nkind = \"command\"\nneeds = [\"a-1\"]\nwhen = \"all_done\"\nwith = { program = \"true\" }\n";
        parse_dag(DagFile { path: "d.toml", stem: "d", text }, "UTC", &KindNames).unwrap()
    }

    #[test]
    fn a_graph_is_drawn_as_text_and_as_mermaid() {
        assert_eq!(text(&dag()), "a-1\n    end  after a-1 (when all are done)\n");
        assert_eq!(
            mermaid(&dag()),
            "flowchart LR\n    job_a_1[\"a-1<br/>command\"]\n    job_end[\"end<br/>command\"]\n    \
             job_a_1 -. when all are done .-> job_end\n"
        );
    }
}
