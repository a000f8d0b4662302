//! What trials leave: schema, writer, reader, export.
#![forbid(unsafe_code)]
