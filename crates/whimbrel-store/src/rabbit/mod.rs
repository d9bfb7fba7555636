//! RabbitMQ: the cluster's log.
