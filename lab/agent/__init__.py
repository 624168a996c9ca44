"""The node agent: stands in for the kubelet (and the CSI attacher) of every node of a lab; Pods run as real local processes."""
