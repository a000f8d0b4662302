//! Mapped files and huge-page aligned buffers.
