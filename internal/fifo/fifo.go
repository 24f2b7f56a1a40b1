// Package fifo is an intrusive first-in, first-out list. Waiters of every kind stand
// in one: asynchronous sends that wait for a worker, requests that wait for room on a
// connection, one-way sends that a pacer holds back.
//
// The list's node lies in the element itself, so pushing allocates nothing, and an
// element whose wait ends early leaves from the middle in constant time. A list has no
// lock of its own: whoever owns the list guards it.
package fifo

// List is a queue of elements. The zero List is empty and ready for use.
type List[T any] struct {
	first, last *Node[T]
	n           int
}

// Node is an element's place in a list. It is a field of the element and is in one list
// at most. The zero Node is in none.
type Node[T any] struct {
	list       *List[T]
	value      *T
	prev, next *Node[T]
}

// Push puts the element v, whose node is n, at the end. The node must be in no list.
func (l *List[T]) Push(n *Node[T], v *T) {
	n.list, n.value, n.prev, n.next = l, v, l.last, nil
	if l.last == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.n++
}

// First is the element that has waited longest, nil if the list is empty. It stays in
// the list.
func (l *List[T]) First() *T {
	if l.first == nil {
		return nil
	}
	return l.first.value
}

// Remove takes the element with node n out, wherever it stands. It reports whether the
// element was in this list.
func (l *List[T]) Remove(n *Node[T]) bool {
	if n.list != l {
		return false
	}
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	*n = Node[T]{}
	l.n--
	return true
}

// Len is the number of elements.
func (l *List[T]) Len() int { return l.n }

// In reports whether the node is in list l.
func (n *Node[T]) In(l *List[T]) bool { return n.list == l }

// Listed reports whether the node is in any list.
func (n *Node[T]) Listed() bool { return n.list != nil }
