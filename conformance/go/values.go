package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

var (
	bytesType = reflect.TypeFor[[]byte]()
	timeType  = reflect.TypeFor[time.Time]()
)

// fill sets the members of a structure of the SDK. where is the way to it, for the message.
func fill(structure reflect.Value, given map[string]any, where string) error {
	for name, value := range given {
		field := structure.FieldByName(name)
		if !field.IsValid() || !field.CanSet() || name == "ResultMetadata" {
			return unknown(fmt.Sprintf("%s has no member %s", where, name))
		}
		if err := set(field, value, where+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func set(to reflect.Value, value any, where string) error {
	object, _ := value.(map[string]any)
	switch {
	case to.Type() == bytesType:
		text, _ := object["$bytes"].(string)
		decoded, err := base64.StdEncoding.DecodeString(text)
		to.SetBytes(decoded)
		return err
	case to.Type() == timeType:
		ms, err := strconv.ParseInt(fmt.Sprint(object["$ms"]), 10, 64)
		to.Set(reflect.ValueOf(time.UnixMilli(ms)))
		return err
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return set(to.Elem(), value, where)
	case reflect.Struct:
		return fill(to, object, where)
	case reflect.Slice:
		list, _ := value.([]any)
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		for i, one := range list {
			if err := set(to.Index(i), one, where); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		to.Set(reflect.MakeMapWithSize(to.Type(), len(object)))
		for key, one := range object {
			element := reflect.New(to.Type().Elem()).Elem()
			if err := set(element, one, where); err != nil {
				return err
			}
			to.SetMapIndex(reflect.ValueOf(key), element)
		}
		return nil
	}
	return setScalar(to, value, where)
}

func setScalar(to reflect.Value, value any, where string) error {
	switch value := value.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(value)
			return nil
		}
	case bool:
		if to.Kind() == reflect.Bool {
			to.SetBool(value)
			return nil
		}
	case json.Number:
		if to.CanInt() {
			whole, err := strconv.ParseInt(value.String(), 10, to.Type().Bits())
			to.SetInt(whole)
			return err
		}
		if to.CanFloat() {
			number, err := value.Float64()
			to.SetFloat(number)
			return err
		}
	}
	return fmt.Errorf("%s is a %s in this SDK, not %v", where, to.Kind(), value)
}

// members are those that the service sent.
func members(structure reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range structure.NumField() {
		field := structure.Type().Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" {
			continue
		}
		if value := structure.Field(i); !absent(value) {
			out[field.Name] = get(value)
		}
	}
	return out
}

// absent tells a member that was not sent: nil, or of an enum "".
func absent(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return value.IsNil()
	case reflect.String:
		return value.Len() == 0
	default:
		return false
	}
}

func get(value reflect.Value) any {
	switch value.Type() {
	case bytesType:
		return map[string]any{"$bytes": value.Bytes()} // encoding/json writes bytes as base64
	case timeType:
		return map[string]any{"$ms": value.Interface().(time.Time).Round(time.Millisecond).UnixMilli()}
	}
	switch value.Kind() {
	case reflect.Pointer:
		return get(value.Elem())
	case reflect.Struct:
		return members(value)
	case reflect.Slice:
		list := make([]any, value.Len())
		for i := range list {
			list[i] = get(value.Index(i))
		}
		return list
	case reflect.Map:
		object := map[string]any{}
		for key, one := range value.Seq2() {
			object[key.String()] = get(one)
		}
		return object
	default:
		return value.Interface()
	}
}
