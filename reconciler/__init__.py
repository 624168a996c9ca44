"""The core: specs in, plan out, and the passes that make the world match. See ARCHITECTURE.md."""
