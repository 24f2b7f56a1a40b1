package realcluster

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// Request codes of the remoting protocol (org.apache.rocketmq.remoting.protocol.RequestCode) that this client uses.
const (
	codeCreateTopic = 17
	codeRuntimeInfo = 28
	codeMaxOffset   = 30
	codePutKVConfig = 100
	codeRoute       = 105
	codeSyncState   = 1006 // CONTROLLER_GET_SYNC_STATE_DATA
)

// codeNoTopic is the answer of a name server that does not know a topic.
const codeNoTopic = 17

// sign adds the administrator's signature, at a cluster with access control: the HMAC-SHA1 of the values in the order of
// their names. No request to such a cluster has a body.
func (c *Cluster) sign(fields map[string]string) (map[string]string, error) {
	if !c.acl {
		return fields, nil
	}
	keys, err := Keys(c.AdminCredentials())
	if err != nil {
		return nil, err
	}
	signed := map[string]string{"AccessKey": keys["accessKey"]}
	maps.Copy(signed, fields)
	mac := hmac.New(sha1.New, []byte(keys["secretKey"]))
	for _, name := range slices.Sorted(maps.Keys(signed)) {
		mac.Write([]byte(signed[name]))
	}
	signed["Signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return signed, nil
}

// Keys are the values of a file of credentials by their names: accessKey, secretKey.
func Keys(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			keys[name] = value
		}
	}
	return keys, nil
}

// patience is how long an answer may take: a broker under a flood of one-way messages has a long queue.
const patience = time.Minute

// header is the JSON form of a frame's header.
type header struct {
	Code      int               `json:"code"`
	Language  string            `json:"language"`
	Version   int               `json:"version"`
	Opaque    int               `json:"opaque"`
	Flag      int               `json:"flag"`
	Remark    string            `json:"remark,omitempty"`
	ExtFields map[string]string `json:"extFields,omitempty"`
}

// dial connects to a node, with TLS and the client's certificate if the nodes want that.
func (c *Cluster) dial(ctx context.Context, address string) (net.Conn, error) {
	if !c.tls {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	authority, err := os.ReadFile(c.TLSFile("ca.crt"))
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(c.TLSFile("client.crt"), c.TLSFile("client.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return (&tls.Dialer{Config: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}}).DialContext(ctx, "tcp", address)
}

// call makes one request on a connection of its own. One admin call at a time needs no more than that. An answer with
// a code other than 0 is an error.
func (c *Cluster) call(ctx context.Context, address string, code int, fields map[string]string) (header, []byte, error) {
	return c.callBody(ctx, address, code, fields, nil)
}

// callBody is call with a body.
func (c *Cluster) callBody(ctx context.Context, address string, code int, fields map[string]string, body []byte) (header, []byte, error) {
	answer, out, err := c.exchange(ctx, address, code, fields, body)
	if err == nil && answer.Code != 0 {
		err = fmt.Errorf("request %d to %s: code %d %s", code, address, answer.Code, answer.Remark)
	}
	return answer, out, err
}

func (c *Cluster) exchange(ctx context.Context, address string, code int, fields map[string]string, body []byte) (header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := c.dial(ctx, address)
	if err != nil {
		return header{}, nil, err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return header{}, nil, err
		}
	}
	if fields, err = c.sign(fields); err != nil {
		return header{}, nil, err
	}
	head, err := json.Marshal(header{Code: code, Language: "JAVA", Version: 479, Opaque: 1, ExtFields: fields})
	if err != nil {
		return header{}, nil, err
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(head)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(head))) // high byte 0: a JSON header
	if _, err := conn.Write(slices.Concat(frame, head, body)); err != nil {
		return header{}, nil, err
	}
	var sizes [8]byte
	if _, err := io.ReadFull(conn, sizes[:]); err != nil {
		return header{}, nil, err
	}
	total := int(binary.BigEndian.Uint32(sizes[:4]))
	headLen := int(binary.BigEndian.Uint32(sizes[4:]) & 0xffffff)
	if total < 4+headLen || total > 16<<20 {
		return header{}, nil, fmt.Errorf("frame of %d bytes with a header of %d", total, headLen)
	}
	rest := make([]byte, total-4)
	if _, err := io.ReadFull(conn, rest); err != nil {
		return header{}, nil, err
	}
	var answer header
	if err := json.Unmarshal(rest[:headLen], &answer); err != nil {
		return header{}, nil, err
	}
	return answer, rest[headLen:], nil
}
