package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"flexcore.example/pluginpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// outSchema is the number of the one schema that this plugin defines.
const outSchema = 1

// window is what the host may send before it hears from us.
func window() *pluginpb.Credit {
	return &pluginpb.Credit{Chunks: 64, Bytes: 16 << 20}
}

// run maps every record that comes in, and ends the execution.
func run(stream pluginpb.Plugin_ExecuteServer, dataStream string, each func(map[string]interface{}) (map[string]interface{}, error)) error {
	e := &execution{stream: stream, dataStream: dataStream}
	var taken uint64
	for {
		request, err := e.next()
		if err == io.EOF {
			return nil // the host went away before it said that it had sent everything
		}
		if err != nil {
			return err
		}
		switch message := request.Message.(type) {
		case *pluginpb.ExecuteRequest_Begin:
			e.allow(message.Begin.Credit)
		case *pluginpb.ExecuteRequest_Credit:
			e.allow(message.Credit)
		case *pluginpb.ExecuteRequest_Cancel:
			return e.failed(pluginpb.FailureClass_FAILURE_CLASS_CANCELLED, "cancelled: "+message.Cancel.Reason)
		case *pluginpb.ExecuteRequest_Data:
			out, err := transform(message.Data, taken, each)
			if err != nil {
				return e.failed(pluginpb.FailureClass_FAILURE_CLASS_DATA, err.Error())
			}
			taken++
			if err := e.data(out, message.Data.Records); err != nil {
				return err
			}
			// The host may send as much again as was taken.
			if err := e.send(&pluginpb.ExecuteResponse{Message: &pluginpb.ExecuteResponse_Credit{
				Credit: &pluginpb.Credit{Chunks: 1, Bytes: uint64(len(message.Data.GetJsonl()))},
			}}); err != nil {
				return err
			}
		case *pluginpb.ExecuteRequest_EndOfInput:
			if message.EndOfInput.Chunks != taken {
				return e.failed(pluginpb.FailureClass_FAILURE_CLASS_INTERNAL,
					fmt.Sprintf("the host sent %d chunks, and %d came", message.EndOfInput.Chunks, taken))
			}
			return e.send(&pluginpb.ExecuteResponse{Message: &pluginpb.ExecuteResponse_Completed{
				Completed: &pluginpb.ExecutionCompleted{Chunks: e.sent},
			}})
		}
	}
}

// transform maps the records of one chunk.
func transform(chunk *pluginpb.DataChunk, want uint64, each func(map[string]interface{}) (map[string]interface{}, error)) ([]byte, error) {
	lines := chunk.GetJsonl()
	if chunk.Seq != want || crc32.Checksum(lines, castagnoli) != chunk.Crc32C {
		return nil, fmt.Errorf("chunk %d did not arrive as it was sent", chunk.Seq)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out) // ends every value with a line feed
	encoder.SetEscapeHTML(false)
	decoder := json.NewDecoder(bytes.NewReader(lines))
	decoder.UseNumber() // numbers keep their digits
	for decoder.More() {
		record := map[string]interface{}{}
		if err := decoder.Decode(&record); err != nil {
			return nil, err
		}
		mapped, err := each(record)
		if err != nil {
			return nil, err
		}
		if err := encoder.Encode(mapped); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// execution is what we know of one execution while it runs.
type execution struct {
	stream     pluginpb.Plugin_ExecuteServer
	dataStream string
	sent       uint64
	credit     pluginpb.Credit
	// What came while we waited for credit; never more than the host had credit for.
	early []*pluginpb.ExecuteRequest
}

// next is the oldest message that was not looked at.
func (e *execution) next() (*pluginpb.ExecuteRequest, error) {
	if len(e.early) > 0 {
		request := e.early[0]
		e.early = e.early[1:]
		return request, nil
	}
	return e.stream.Recv()
}

func (e *execution) allow(credit *pluginpb.Credit) {
	if credit != nil {
		e.credit.Chunks += credit.Chunks
		e.credit.Bytes += credit.Bytes
	}
}

// data sends one chunk, as soon as the host has given credit for it.
func (e *execution) data(lines []byte, records uint32) error {
	for e.credit.Chunks == 0 || e.credit.Bytes < uint64(len(lines)) {
		request, err := e.stream.Recv()
		if err != nil {
			return err
		}
		switch message := request.Message.(type) {
		case *pluginpb.ExecuteRequest_Credit:
			e.allow(message.Credit)
		case *pluginpb.ExecuteRequest_Cancel:
			return status.Error(codes.Canceled, message.Cancel.Reason)
		default:
			e.early = append(e.early, request)
		}
	}
	e.credit.Chunks--
	e.credit.Bytes -= uint64(len(lines))
	chunk := &pluginpb.DataChunk{
		Seq:      e.sent,
		SchemaId: outSchema,
		Payload:  &pluginpb.DataChunk_Jsonl{Jsonl: lines},
		Crc32C:   crc32.Checksum(lines, castagnoli),
		Records:  records,
	}
	if e.sent == 0 {
		chunk.Schema = &pluginpb.SchemaDefinition{
			SchemaId:   outSchema,
			DataStream: &pluginpb.DataStream{Name: e.dataStream, SchemaJson: `{"type":"object"}`},
		}
	}
	e.sent++
	return e.send(&pluginpb.ExecuteResponse{Message: &pluginpb.ExecuteResponse_Data{Data: chunk}})
}

func (e *execution) failed(class pluginpb.FailureClass, message string) error {
	return e.send(&pluginpb.ExecuteResponse{Message: &pluginpb.ExecuteResponse_Failed{
		Failed: &pluginpb.ExecutionFailed{Class: class, Message: message},
	}})
}

func (e *execution) send(response *pluginpb.ExecuteResponse) error {
	return e.stream.Send(response)
}
