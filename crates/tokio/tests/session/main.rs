//! A session against a scripted server on the loopback: every test says what the server does, and what
//! the application sees.

mod ending;
mod http;
mod limits;
mod opening;
mod proxy;
mod server;
mod talking;
mod tls;
mod viewer;
