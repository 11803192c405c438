//! Calls plugins that are processes: HashiCorp go-plugin over gRPC.
