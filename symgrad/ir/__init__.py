"""The intermediate representation: nodes, definitions, ops, the reference evaluator."""
