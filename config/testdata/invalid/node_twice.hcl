node { name = "lb1" }
node { name = "lb2" }
