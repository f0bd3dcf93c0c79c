/* SPDX-License-Identifier: MIT */
/* aws.h - the AWS CLI's syntax, without Python: `aws <service> <operation> --options`.
 * Exit codes are the AWS CLI's: 0, 252 for arguments, 253 for configuration, 254 for a refusal of
 * the service, 255 for everything else. */
#pragma once

int aws_main(int argc, char **argv);
