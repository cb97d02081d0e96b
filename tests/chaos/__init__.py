"""What must hold while processes are killed, connections are cut and messages come twice."""
