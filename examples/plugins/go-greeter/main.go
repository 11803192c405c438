// A plugin in Go: greets whoever is in a record.
//
// It is an ordinary go-plugin plugin whose service is flexcore.plugin.v1; the stubs in pluginpb are
// generated from FlexCore's plugin.proto.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"flexcore.example/pluginpb"
	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	name    = "go-greeter"
	version = "1.0.0"
	schema  = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "greeting": {"type": "string", "minLength": 1, "default": "Hello"},
    "field": {"type": "string", "minLength": 1, "default": "name"}
  },
  "additionalProperties": false
}`
)

type settings struct {
	Greeting string `json:"greeting"`
	Field    string `json:"field"`
}

func readSettings(text string) (settings, error) {
	read := settings{Greeting: "Hello", Field: "name"}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return read, err
	}
	if read.Greeting == "" || read.Field == "" {
		return read, fmt.Errorf("greeting and field must not be empty")
	}
	return read, nil
}

type greeter struct {
	mutex    sync.RWMutex
	settings settings
}

func (*greeter) Info(context.Context, *pluginpb.InfoRequest) (*pluginpb.InfoResponse, error) {
	return &pluginpb.InfoResponse{
		Name:                    name,
		Version:                 version,
		PluginType:              pluginpb.PluginType_PLUGIN_TYPE_TRANSFORMER,
		Encodings:               []pluginpb.Encoding{pluginpb.Encoding_ENCODING_JSONL},
		MaxConcurrentExecutions: 16,
		Stateless:               true,
		InitialCredit:           window(),
	}, nil
}

func (*greeter) Validate(_ context.Context, request *pluginpb.ValidateRequest) (*pluginpb.ValidateResponse, error) {
	response := &pluginpb.ValidateResponse{}
	if _, err := readSettings(request.ConfigJson); err != nil {
		response.Problems = append(response.Problems, &pluginpb.Problem{Message: err.Error()})
	}
	return response, nil
}

func (*greeter) Schema(context.Context, *pluginpb.SchemaRequest) (*pluginpb.SchemaResponse, error) {
	return &pluginpb.SchemaResponse{ConfigSchemaJson: schema}, nil
}

func (g *greeter) Initialize(_ context.Context, request *pluginpb.InitializeRequest) (*pluginpb.InitializeResponse, error) {
	read, err := readSettings(request.ConfigJson)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.settings = read
	return &pluginpb.InitializeResponse{}, nil
}

func (g *greeter) Execute(stream pluginpb.Plugin_ExecuteServer) error {
	g.mutex.RLock()
	use := g.settings
	g.mutex.RUnlock()
	return run(stream, "greetings", func(record map[string]interface{}) (map[string]interface{}, error) {
		who, ok := record[use.Field].(string)
		if !ok {
			return nil, fmt.Errorf("a record has no text in %q", use.Field)
		}
		record["greeting"] = use.Greeting + ", " + who + "!"
		return record, nil
	})
}

func (*greeter) Health(context.Context, *pluginpb.HealthRequest) (*pluginpb.HealthResponse, error) {
	return &pluginpb.HealthResponse{Healthy: true}, nil
}

// Shutdown only agrees: the host asks go-plugin's controller to end the process.
func (*greeter) Shutdown(context.Context, *pluginpb.ShutdownRequest) (*pluginpb.ShutdownResponse, error) {
	return nil, status.Error(codes.Unimplemented, "go-plugin's controller ends this process")
}

// served makes a plugin of go-plugin of it.
type served struct {
	plugin.NetRPCUnsupportedPlugin
	greeter *greeter
}

func (s *served) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	pluginpb.RegisterPluginServer(server, s.greeter)
	return nil
}

func (*served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, fmt.Errorf("this is a plugin, not a host")
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "FLEXCORE_PLUGIN",
			MagicCookieValue: "flexcore.plugin.v1",
		},
		Plugins:    map[string]plugin.Plugin{"plugin": &served{greeter: &greeter{}}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}
