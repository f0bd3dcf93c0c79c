/* SPDX-License-Identifier: MIT */
/* What a Docker Engine may answer: the first byte chooses the parser, the second how the rest is cut. */
#include <assert.h>
#include "agent/docker_parse.h"
#include "agent/docker_stream.h"
#include "model/image_ref.h"
#include "agent/log_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t taken;

static void
take_line(void *arg, struct str line)
{
    struct docker_event event;

    (void)arg;
    assert(line.len > 0 && line.len <= DOCKER_LINE_MAX);
    if (docker_parse_event(line, &event, NULL))
        taken += strlen(event.id);
}

static void
take_message(void *arg, bool is_error, struct str message)
{
    char time[LOG_TIME_SIZE], since[LOG_TIME_SIZE];
    struct str rest = message;

    (void)arg;
    taken += is_error;
    if (log_take_time(&rest, time))
        log_since(time, since);
    assert(rest.len <= message.len);
}

static void
fuzz_streams(struct str rest, size_t step, bool has_tty)
{
    struct docker_lines lines = {0};
    struct docker_pull pull = {0};
    struct log_frames frames = {.has_tty = has_tty};

    for (size_t i = 0; i < rest.len; i += step) {
        const struct str piece = str_slice(rest, i, i + step);

        docker_lines_feed(&lines, piece, take_line, NULL);
        docker_pull_feed(&pull, piece);
        log_frames_feed(&frames, piece, take_message, NULL);
    }
    docker_lines_done(&lines);
    docker_pull_done(&pull);
    log_frames_done(&frames);
}

static void
fuzz_answers(struct str rest)
{
    struct json *j = json_parse(rest, NULL);
    struct docker_state state;
    static const struct image_home home = {.account = "000000000000",
                                           .region = "ap-northeast-2",
                                           .registry_port = 4566};
    struct image_ref ref;
    char digest[DIGEST_SIZE], message[100];
    struct json *mappings = json_parse(STR("[{\"containerPortRange\":\"80-90\"}]"), NULL);
    char *image = str_dup(rest);
    int status = 0;

    if (docker_parse_state(j, "naru", mappings, &state, NULL)) {
        assert(state.binding_count >= 0 && state.binding_count <= BINDINGS_MAX);
        assert(!(state.is_running && state.has_ended));
    }
    docker_parse_message(rest, message, sizeof(message));
    if (image_ref_parse(image, "", &home, &ref, NULL)) {
        assert((ref.digest[0] != '\0') == (ref.tag[0] == '\0'));
        image_ref_repo_digest(&ref, j, digest);
    }
    const ptrdiff_t head = docker_stream_parse_head(rest, &status);
    assert(head <= (ptrdiff_t)rest.len);
    free(image);
    json_unref(mappings);
    json_unref(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct str rest = {(const char *)data + 2, size - 2};
    if (data[0] % 3 == 0)
        fuzz_answers(rest);
    else
        fuzz_streams(rest, (size_t)data[1] + 1, data[0] % 3 == 1);
    return 0;
}
