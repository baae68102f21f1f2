//! The relay between agents and the people attached to them, as an axum router.
