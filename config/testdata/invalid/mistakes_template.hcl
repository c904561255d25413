notify_fifo "/run/${node.name}.fifo" {}
