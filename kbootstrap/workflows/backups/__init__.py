"""`backup`: asking the program of etcd hosts for backups, and showing what there is of them."""
