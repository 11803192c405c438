// Counts letters: an Extism module without a C library.
//
// `execute` takes any text and answers `{"letters":N,"vowels":N}`; with the setting `vowels` it counts those instead of
// a, e, i, o and u.

#include <stddef.h>
#include <stdint.h>

#define HOST(name) __attribute__((import_module("extism:host/env"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

HOST("input_length") extern uint64_t input_length(void);
HOST("input_load_u8") extern uint32_t input_load_u8(uint64_t offset);
HOST("alloc") extern uint64_t alloc(uint64_t length);
HOST("length") extern uint64_t length(uint64_t offset);
HOST("load_u8") extern uint32_t load_u8(uint64_t offset);
HOST("store_u8") extern void store_u8(uint64_t offset, uint32_t byte);
HOST("output_set") extern void output_set(uint64_t offset, uint64_t length);
HOST("config_get") extern uint64_t config_get(uint64_t key);
HOST("log_info") extern void log_info(uint64_t message);

static uint64_t text_of(const char *text) {
  size_t size = 0;
  while (text[size]) size++;
  uint64_t offset = alloc(size);
  for (size_t at = 0; at < size; at++) store_u8(offset + at, (uint8_t)text[at]);
  return offset;
}

static size_t number(char *to, uint32_t value) {
  char digits[10];
  size_t count = 0, written = 0;
  do digits[count++] = (char)('0' + value % 10);
  while (value /= 10);
  while (count) to[written++] = digits[--count];
  return written;
}

static size_t copy(char *to, const char *from) {
  size_t size = 0;
  for (; from[size]; size++) to[size] = from[size];
  return size;
}

static int is_vowel(uint32_t byte, uint64_t vowels) {
  if (!vowels) return byte == 'a' || byte == 'e' || byte == 'i' || byte == 'o' || byte == 'u';
  for (uint64_t at = 0; at < length(vowels); at++)
    if (load_u8(vowels + at) == byte) return 1;
  return 0;
}

EXPORT("execute") int32_t execute(void) {
  uint64_t vowels = config_get(text_of("vowels"));
  uint32_t letters = 0, found = 0;
  for (uint64_t at = 0; at < input_length(); at++) {
    uint32_t byte = input_load_u8(at) | 0x20;
    if (byte < 'a' || byte > 'z') continue;
    letters++;
    found += (uint32_t)is_vowel(byte, vowels);
  }
  char answer[64];
  size_t size = copy(answer, "{\"letters\":");
  size += number(answer + size, letters);
  size += copy(answer + size, ",\"vowels\":");
  size += number(answer + size, found);
  answer[size++] = '}';
  answer[size] = 0;
  uint64_t output = text_of(answer);
  output_set(output, size);
  log_info(text_of("counted"));
  return 0;
}
