//! Private Redis, RabbitMQ and MySQL or MariaDB servers, in a temporary folder, on free ports.
