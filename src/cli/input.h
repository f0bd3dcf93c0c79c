/* SPDX-License-Identifier: MIT */
/* input.h - what builds ask people. */
#pragma once
#include "base/json.h"

void input_print(const struct json *build); /* a line for each open question of a build */
