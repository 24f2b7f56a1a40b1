package wire

//lint:file-ignore ST1003 versions keep the underscores of Java's MQVersion: V4_9_8 would be V498, and 4.98

// Request codes: what a producer sends, what a broker sends to a producer, and what a server
// needs to be of use to the usual tools (Java RequestCode). Response codes are not listed here.
const (
	SendMessage                   = 10
	PullMessage                   = 11
	QueryMessage                  = 12
	QueryBrokerOffset             = 13
	QueryConsumerOffset           = 14
	UpdateConsumerOffset          = 15
	UpdateAndCreateTopic          = 17
	GetAllTopicConfig             = 21
	UpdateBrokerConfig            = 25
	GetBrokerConfig               = 26
	GetBrokerRuntimeInfo          = 28
	SearchOffsetByTimestamp       = 29
	GetMaxOffset                  = 30
	GetMinOffset                  = 31
	GetEarliestMsgStoreTime       = 32
	ViewMessageByID               = 33
	HeartBeat                     = 34
	UnregisterClient              = 35
	ConsumerSendMsgBack           = 36
	EndTransaction                = 37
	GetConsumerListByGroup        = 38
	CheckTransactionState         = 39 // broker to producer
	NotifyConsumerIDsChanged      = 40 // broker to client
	LockBatchMQ                   = 41
	UnlockBatchMQ                 = 42
	CheckClientConfig             = 46
	PutKVConfig                   = 100
	GetKVConfig                   = 101
	RegisterBroker                = 103
	UnregisterBroker              = 104
	GetRouteInfoByTopic           = 105
	GetBrokerClusterInfo          = 106
	UpdateAndCreateSubscription   = 200
	GetTopicStatsInfo             = 202
	GetConsumerConnectionList     = 203
	GetProducerConnectionList     = 204
	WipeWritePermOfBroker         = 205
	GetAllTopicListFromNameServer = 206
	DeleteSubscriptionGroup       = 207
	GetConsumeStats               = 208
	DeleteTopicInBroker           = 215
	DeleteTopicInNameServer       = 216
	ResetConsumerClientOffset     = 220 // broker to client
	GetConsumerStatusFromClient   = 221 // broker to client
	GetTopicsByCluster            = 224
	QueryTopicConsumeByWho        = 300
	GetConsumerRunningInfo        = 307 // broker to client
	ConsumeMessageDirectly        = 309 // broker to client
	SendMessageV2                 = 310
	SendBatchMessage              = 320
	SendReplyMessage              = 324
	SendReplyMessageV2            = 325
	PushReplyMessageToClient      = 326 // broker to producer
	AddWritePermOfBroker          = 327
	GetTopicConfig                = 351
	GetSubscriptionGroupConfig    = 352
	RecallMessage                 = 370 // from 5.3.2
	QueryAssignment               = 400
	PopMessage                    = 200050 // does not fit the binary header
)

// Bits of a header's flag.
const (
	// FlagResponse marks an answer.
	FlagResponse int32 = 1 << 0
	// FlagOneway marks a request that wants no answer.
	FlagOneway int32 = 1 << 1
)

// Versions are ordinals of Java's MQVersion. Servers decide by them: a name server of 5.x
// answers in standard JSON only to V4_9_4 and later, a broker sends GO_AWAY only to clients
// later than V5_3_1, and the ACL content differs up to V4_9_3.
const (
	V4_5_2 = 317
	V4_9_0 = 393
	V4_9_3 = 399
	V4_9_4 = 401
	V4_9_8 = 409
	V5_0_0 = 413
	V5_1_0 = 433
	V5_2_0 = 453
	V5_3_0 = 473
	V5_3_1 = 475
	V5_3_2 = 477
	V5_3_3 = 479

	// CurrentVersion is what Liftoff sends.
	CurrentVersion = V5_3_3
)
