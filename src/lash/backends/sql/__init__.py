"""The durable contracts on SQL: storage scripts written once, and the engines that run them."""
