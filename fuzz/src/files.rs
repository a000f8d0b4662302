//! Small files that inputs edit and searches begin from.

use std::sync::{Arc, OnceLock};

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Tensors of many formats, also of some that are passed over.
pub(crate) fn safetensors() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let tensors = [
            ("a", "F32", 4, "[2,2]"),
            ("b", "F16", 2, "[4]"),
            ("c", "I8", 1, "[3]"),
            ("d", "BOOL", 1, "[5]"),
        ];
        let tensors = tensors.iter().chain(&[("e", "F64", 8, "[2]"), ("f", "BF16", 2, "[2,1]")]);
        let (mut header, mut length) = (r#"{"__metadata__":{"k":"v"}"#.to_owned(), 0);
        for (name, dtype, width, shape) in tensors {
            let elements: usize =
                shape.trim_matches(['[', ']']).split(',').filter_map(|n| n.parse::<usize>().ok()).product();
            let end = length + elements * width;
            let offsets = format!("[{length},{end}]");
            let parts = [
                ",\"",
                name,
                "\":{\"dtype\":\"",
                dtype,
                "\",\"shape\":",
                shape,
                ",\"data_offsets\":",
                &offsets,
                "}",
            ];
            header += &parts.concat();
            length = end;
        }
        header += "}";
        while header.len() % 8 != 0 {
            header += " ";
        }
        let data = (0..length).map(|i| (i * 37) as u8);
        (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain(data).collect()
    })
}

/// A Parquet file of two row groups with the columns `y`, `a`, `b`, `x`.
pub(crate) fn parquet(compression: Compression) -> Vec<u8> {
    let schema = "message table {
        REQUIRED INT32 y; OPTIONAL INT64 a; REQUIRED BYTE_ARRAY b (UTF8); OPTIONAL DOUBLE x;
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema of this crate"));
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut file = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut file, schema, properties).expect("a writer of this schema");
    for first in [0, 7] {
        let mut group = writer.next_row_group().expect("a row group");
        let mut column = group.next_column().expect("a column").expect("the first column");
        column.typed::<Int32Type>().write_batch(&[0, 1, 1], None, None).expect("labels are written");
        column.close().expect("a column ends");
        let mut column = group.next_column().expect("a column").expect("the second column");
        let ids = [first, first + 1];
        column.typed::<Int64Type>().write_batch(&ids, Some(&[1, 0, 1]), None).expect("ids are written");
        column.close().expect("a column ends");
        let mut column = group.next_column().expect("a column").expect("the third column");
        let words = ["x", "yy", "x"].map(ByteArray::from);
        column.typed::<ByteArrayType>().write_batch(&words, None, None).expect("words are written");
        column.close().expect("a column ends");
        let mut column = group.next_column().expect("a column").expect("the fourth column");
        let numbers = [0.5, -1e3, 2.0];
        column
            .typed::<DoubleType>()
            .write_batch(&numbers, Some(&[1, 1, 1]), None)
            .expect("numbers are written");
        column.close().expect("a column ends");
        group.close().expect("a row group ends");
    }
    writer.close().expect("a file ends");
    file
}
