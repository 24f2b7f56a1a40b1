package remoting

// ReadOffered is on how many connections no goroutine reads and the next caller may.
func (c *Client) ReadOffered() int {
	n := 0
	for _, cn := range c.open() {
		if cn.Usage().ReadOffered {
			n++
		}
	}
	return n
}
