//! The command line: names, flags and their help.

mod data;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use data::{Data, Ids, InputFormat, Prepare, Synth};

/// Measures how recommendation models degrade when hardware flips bits, and what protects them.
#[derive(Debug, Parser)]
#[command(name = "radhard", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done · 1 wrong usage · 2 a bound asked for was crossed · 3 golden run failed · \
    4 plan and records don't match · 5 a file can't be read, written or used · 70 bug · 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print one JSON object on standard output instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Worker threads; results do not depend on it [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// What radhard can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Real ratings → training → virtual chips → curves, in under a minute
    Demo(Demo),
    /// Prepare, make or describe data
    #[command(subcommand)]
    Data(Data),
    /// Train a model; the best epoch by validation AUC is kept and tested
    Train(Train),
    /// Make an untrained model
    Init(Init),
    /// Make a model of weights that torch or NumPy saved
    Import(Import),
    /// Store a model's tables in another number format
    Convert(Convert),
    /// Score a model on prepared data
    Evaluate(Evaluate),
    /// List a model's parameters: shapes, formats, components, bits
    Inspect(Inspect),
    /// Write a copy of a model with the faults of one virtual chip
    Inject(Inject),
    /// Put an error map's faults into a model (in place, or into a copy with --out)
    Apply(Replay),
    /// Take an error map's faults out of a model again
    Undo(Replay),
    /// Run a campaign from a plan; continues where it stopped
    Run(Run),
    /// Show a campaign's results: table, page and pictures
    Report(Report),
    /// Write a campaign's records as csv, or print their digest
    Export(Export),
    /// Repeat the paper: its tables, figures and claims, each with a verdict; continues where it stopped
    Reproduce(Reproduce),
    /// Prove on this machine that what is injected is what was asked for
    Selftest,
}

/// Whether files that are there may be replaced.
#[derive(Debug, Args)]
pub(crate) struct Overwrite {
    /// Write over a file that is there; without it that is an error, and nothing is written
    #[arg(long)]
    pub(crate) force: bool,
}

/// `radhard demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where data, model, plan, records and page go
    #[arg(long, default_value = "radhard-demo", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Virtual chips per bit error rate and target
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) chips: u64,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// The widths and depths of a model.
#[derive(Debug, Args)]
pub(crate) struct Widths {
    /// Width of an embedding row
    #[arg(long, default_value_t = 16, value_name = "D")]
    pub(crate) embed_dim: usize,
    /// Widths of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "16,16", value_name = "H,H")]
    pub(crate) mlp_dims: Vec<usize>,
    /// Hidden widths of the layers on the numeric inputs (dlrm); one of the embedding's width follows
    #[arg(long, value_delimiter = ',', value_name = "H,H")]
    pub(crate) bottom_dims: Option<Vec<usize>>,
    /// Cross layers (dcn)
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) cross_layers: usize,
    /// Width of the attention (afm)
    #[arg(long, default_value_t = 16, value_name = "A")]
    pub(crate) attention_dim: usize,
    /// Dropout after each hidden layer, while training
    #[arg(long, default_value_t = 0.2, value_name = "P")]
    pub(crate) dropout: f64,
}

/// What a model reads: given, or as in a prepared file.
#[derive(Debug, Args)]
pub(crate) struct Inputs {
    /// Numeric inputs (dlrm)
    #[arg(long, default_value_t = 0, value_name = "N", conflicts_with = "data")]
    pub(crate) numeric: usize,
    /// Table rows per field
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub(crate) field_dims: Option<Vec<u32>>,
    /// Take the field dims of this prepared file
    #[arg(long, value_name = "FILE", conflicts_with = "field_dims")]
    pub(crate) data: Option<PathBuf>,
}

/// The shape of a new model, and how it starts.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Architecture: fm, deepfm, wide-deep, dcn, afm, dlrm or dummy
    #[arg(long, value_name = "NAME")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) widths: Widths,
    /// Initial values: zero-first-order, or torchfm's own
    #[arg(long, default_value = "zero-first-order", value_name = "INIT")]
    pub(crate) init: String,
    /// Seed of initial values, order of rows and dropout
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
}

/// `radhard train`.
#[derive(Debug, Args)]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// A prepared data file
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    /// Learning rate
    #[arg(long, default_value_t = 1e-3, allow_negative_numbers = true)]
    pub(crate) lr: f64,
    /// L2 penalty, added to the gradient as torch.optim.Adam does
    #[arg(long, default_value_t = 1e-6, allow_negative_numbers = true)]
    pub(crate) weight_decay: f64,
    /// Rows per step
    #[arg(long, default_value_t = 4096)]
    pub(crate) batch_size: usize,
    /// Most epochs to train
    #[arg(long, default_value_t = 100)]
    pub(crate) epochs: u64,
    /// Epochs without a better validation AUC before training stops
    #[arg(long, default_value_t = 3)]
    pub(crate) patience: u64,
    /// Optimizer: adam (torch's dense semantics), or lazy-adam (table rows of the batch only)
    #[arg(long, default_value = "adam")]
    pub(crate) optimizer: String,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) shape: Shape,
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    #[command(flatten)]
    pub(crate) dummy: DummyShape,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// The shape of a dummy model, whose inputs are a dense and a sparse vector.
#[derive(Debug, Args)]
pub(crate) struct DummyShape {
    /// Hidden layers of either MLP (dummy) [default: as --mlp-dims]
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// Width of these layers (dummy) [default: 64]
    #[arg(long, value_name = "H")]
    pub(crate) hidden: Option<usize>,
    /// Length of the dense vector (dummy) [default: 128]
    #[arg(long, value_name = "N")]
    pub(crate) dense_dim: Option<usize>,
    /// Length of the sparse vector (dummy) [default: 8192]
    #[arg(long, value_name = "N")]
    pub(crate) sparse_dim: Option<u32>,
}

/// `radhard import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Weights: .safetensors, .pt or .pth (a state dict or a pickled module; parsed, never executed), or .npz
    pub(crate) weights: PathBuf,
    /// Architecture: fm, deepfm, wide-deep, dcn, afm, dlrm or dummy
    #[arg(long, value_name = "NAME")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) widths: Widths,
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// Turn f16, bf16 and f64 weights into f32; without it they are an error
    #[arg(long)]
    pub(crate) convert: bool,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard convert`.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A model file
    pub(crate) model: PathBuf,
    /// Format of its tables: f32, f16, bf16 or int8-rowwise
    #[arg(long, value_name = "FORMAT")]
    pub(crate) tables: String,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// A model file
    pub(crate) model: PathBuf,
    /// A prepared data file
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Rows to score: train, validation, test or all
    #[arg(long, default_value = "test", value_name = "PART")]
    pub(crate) split: String,
    /// What a non-finite prediction counts as in auc: fallback, lowest or highest
    #[arg(long, default_value = "fallback", value_name = "POLICY")]
    pub(crate) non_finite: String,
    /// What protects activations: clip:paper, clip:artefact, or clip and zero with fixed bounds
    #[arg(long, default_value = "none", value_name = "P")]
    pub(crate) protection: String,
    /// Bounds that a campaign in this directory calibrated for the protection
    #[arg(long, value_name = "DIR", requires = "protection")]
    pub(crate) bounds: Option<PathBuf>,
    /// compute: transient faults strike what layers compute, as they do a chip of a campaign; faults in memory are inject's
    #[arg(long, value_name = "WHERE", requires = "ber")]
    pub(crate) persistence: Option<String>,
    /// Bit error rate of transient faults, per computed bit that is exposed
    #[arg(long, value_name = "P", requires = "persistence", allow_hyphen_values = true)]
    pub(crate) ber: Option<f64>,
    /// Of transient faults: the layers that read these parameters, as inject's target
    #[arg(long, default_value = "all", value_name = "T")]
    pub(crate) target: String,
    /// Of transient faults: the seed of the chips
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Of transient faults: the chip
    #[arg(long, default_value_t = 0)]
    pub(crate) chip: u64,
    /// Write probabilities and labels to this safetensors file
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A model, or any safetensors file
    pub(crate) model: PathBuf,
    /// Count critical bits, for which every word is read; without it, headers are
    #[arg(long)]
    pub(crate) critical: bool,
}

/// `radhard inject`.
#[derive(Debug, Args)]
pub(crate) struct Inject {
    /// A model, or any safetensors file
    pub(crate) model: PathBuf,
    /// Bit error rate, per exposed bit, in [0, 1]
    #[arg(long, value_name = "P", allow_hyphen_values = true)]
    pub(crate) ber: Option<f64>,
    /// all, embedding, dense, a glob over parameter names, or a list of those; @sign, @exponent, @mantissa or @23-31 selects bits
    #[arg(long, default_value = "all", value_name = "T")]
    pub(crate) target: String,
    /// flips, count:K, burst:L:R, stuck-at:0|1|random, asymmetric:P01:P10, value:uniform|zero|LO..HI
    #[arg(long, default_value = "flips", value_name = "M")]
    pub(crate) error_model: String,
    /// parameters, or state to expose BatchNorm statistics as well
    #[arg(long, default_value = "parameters", value_name = "WHAT")]
    pub(crate) expose: String,
    /// What protects the stored words, such as sbp, secded:reload or tmr: the file then holds what readers get
    #[arg(long, default_value = "none", value_name = "P")]
    pub(crate) protection: String,
    /// Seed of the campaign
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// Which virtual chip of that seed
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) chip: u64,
    /// The faulty copy to write
    #[arg(long, value_name = "FILE", required_unless_present = "map")]
    pub(crate) out: Option<PathBuf>,
    /// Write the error map to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Change the model itself instead of a copy; undo takes it back by the map
    #[arg(long, requires = "map", conflicts_with = "out")]
    pub(crate) in_place: bool,
    /// Fail where the target names tensors that no fault can strike, instead of naming them
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard apply` and `radhard undo`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// A model, or any safetensors file
    pub(crate) model: PathBuf,
    /// The error map
    #[arg(long, value_name = "FILE")]
    pub(crate) map: PathBuf,
    /// Write a copy here instead of changing the file in place
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Accept words that differ from those the map was drawn on (another training of the same model); for maps of flips only
    #[arg(long)]
    pub(crate) rebase: bool,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The plan, a TOML file
    pub(crate) plan: PathBuf,
    /// Campaign directory; a started campaign continues
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Override the plan's evaluation: auto or full (same records, other cost)
    #[arg(long, value_name = "HOW")]
    pub(crate) evaluation: Option<String>,
    /// Override where faults strike: memory (stored words) or compute (what layers compute, transient; cells of their own)
    #[arg(long, value_name = "WHERE")]
    pub(crate) persistence: Option<String>,
    /// Bytes of golden values kept for quick evaluation, at most: 512MiB, 2GiB … (same records, other cost)
    #[arg(long, default_value = "2GiB", value_name = "BYTES", value_parser = bytes)]
    pub(crate) memory: u64,
    /// Exit with 2 if the campaign is shown to cross this bound, as in 'severe_share@1e-5 > 0.01' or 'dense/secded/loss@1e-4 > 0.05';
    /// one of bad_share, severe_share, loss, loss_q95
    #[arg(long, value_name = "[TARGET/][PROTECTION/]KEY@RATE OP NUMBER")]
    pub(crate) fail_if: Vec<String>,
    /// Exit with 2 also where the chips do not decide about a bound
    #[arg(long, requires = "fail_if")]
    pub(crate) fail_undecided: bool,
    /// Measure models that say that they hold injected faults, as if they were fault-free
    #[arg(long)]
    pub(crate) allow_faulty: bool,
    /// Fail where a target names parameters whose format has none of its bits, instead of naming them
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `radhard report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A campaign directory
    pub(crate) dir: PathBuf,
    /// Another one on the same chips: report the paired differences between the two
    pub(crate) other: Option<PathBuf>,
    /// Write the page here [default: report.html in DIR, comparison.html for two]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Decide what to protect at this bit error rate [default: the lowest at which more than 1 % of chips are shown to lose more than 0.05]
    #[arg(long, value_name = "RATE")]
    pub(crate) at: Option<f64>,
    /// Print a line for every cell too
    #[arg(long)]
    pub(crate) cells: bool,
    /// Write a chart for each model and protection into DIR/figures, as svg and png
    #[arg(long)]
    pub(crate) figures: bool,
    /// Write cells.csv and trials.csv into DIR
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A campaign directory
    pub(crate) dir: PathBuf,
    /// Format of the export
    #[arg(long, value_enum, default_value = "csv")]
    pub(crate) format: ExportFormat,
    /// Where the files go [default: DIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the digest that equal campaigns share, and write nothing; =all covers also what protections noticed and cost
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "scores",
        value_name = "WHAT"
    )]
    pub(crate) digest: Option<DigestOf>,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// The parts that a digest covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestOf {
    /// Golden runs, cells and trials with every score
    Scores,
    /// Besides, exposure of chips, what protections noticed, and what they cost but time
    All,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// cells.csv and trials.csv
    Csv,
}

/// `radhard reproduce`.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// table1, table2, fig4 … fig10, claims or all
    pub(crate) part: String,
    /// Where the real files may lie: ml-1m/ratings.dat, ml-20m/ratings.csv, criteo/train.txt; stand-ins are drawn for
    /// those that are not there [default: stand-ins for all]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where data, models, records, figures and tables go
    #[arg(long, default_value = "radhard-paper", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Data sets to study, joined by commas: movielens-1m, movielens-20m, criteo [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) sets: Vec<String>,
    /// How first-order weights start: torchfm (N(0, 1)) or zero [default: torchfm, but zero with --quick]
    #[arg(long, value_name = "START")]
    pub(crate) start: Option<String>,
    /// Minutes instead of hours: fewer rows, epochs and dummy models; the tables whole
    #[arg(long)]
    pub(crate) quick: bool,
    /// Instead of the part itself, the ways in which the paper's released artefact differs, each beside ours on the same chips
    #[arg(long)]
    pub(crate) as_artefact: bool,
    /// Rows that models train on at most: a number, or all [default: all, but 4000000 of Criteo]
    #[arg(long, value_name = "N|all")]
    pub(crate) train_rows: Option<String>,
    /// Virtual chips in each cell [default: the paper's 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) chips: Option<u64>,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// A number of bytes: whole, with B, KiB, MiB, GiB or TiB behind it, or none of these.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        unit => return Err(format!("unit {unit:?} is none of B, KiB, MiB, GiB, TiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{digits:?} is no whole number of bytes"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is more than 2^64 bytes"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_take_binary_units() {
        assert_eq!(
            (bytes("0"), bytes("7B"), bytes("512MiB"), bytes("2GiB")),
            (Ok(0), Ok(7), Ok(512 << 20), Ok(2 << 30))
        );
        for (text, part) in
            [("2GB", "GB"), ("-1", "-1"), ("1.5GiB", "1.5"), ("99999999TiB", "2^64"), ("", "\"\"")]
        {
            assert!(bytes(text).unwrap_err().contains(part), "{text}");
        }
    }
}
