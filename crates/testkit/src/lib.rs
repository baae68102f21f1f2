//! A virtual-time world and a scripted server for testing the attache machines.
