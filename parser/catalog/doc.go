// Package catalog knows what names mean: which functions PostgreSQL is born
// with, and what calling one means for the choice of a node. It holds no
// connection; what it knows was read from a real server when it was generated.
package catalog

