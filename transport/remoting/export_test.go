package remoting

// Lent is how many connections have lent their read side and nobody has it.
func (c *Client) Lent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for cn := range c.conns {
		if cn.lent.Load() {
			n++
		}
	}
	return n
}
