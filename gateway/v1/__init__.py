"""The wire contract, generated from protos/gateway/v1; never edited."""
