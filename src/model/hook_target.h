/* SPDX-License-Identifier: MIT */
/* hook_target.h - what the hookTargetArn of a lifecycle hook of targetType AWS_LAMBDA names here:
 *   http://HOST[:PORT]/PATH, https://...     is called
 *   naru:command/NAME                        an executable of the operator's directory
 *   arn:aws:ecs:...:task-definition/F[:N]    a task of it is run
 * The function that ECS would name is none of these, and is refused with a word about what is. */
#pragma once
#include "base/err.h"
#include "model/types.h"

#define HOOK_TARGET_MAX 1024
#define HOOK_COMMAND_PREFIX "naru:command/"
#define HOOK_COMMAND_MAX 64 /* of NAME: letters, digits, '.', '_', '-', the first of them no sign */

/* ERR_UNSUPPORTED_FEATURE: a function; ERR_INVALID_PARAMETER: nothing of the above. */
bool hook_target_read(const char *target, enum hook_kind *out, struct err *err) MUST_CHECK;
bool hook_command_name_is_valid(struct str name);
