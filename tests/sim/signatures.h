/*
 * signatures: in the simulator Ed25519 is a hash keyed with the public key, a hundred times faster;
 * as good here, where nobody makes a signature but through signer_sign. It takes the place of
 * base/crypto's five functions at link time (--wrap, in CMakeLists.txt), in this program alone: no
 * other can verify so, and test_shipped.py looks for SIGNATURES_MARK in those that are installed.
 */
#ifndef TESTS_SIM_SIGNATURES_H
#define TESTS_SIM_SIGNATURES_H

#include <stdbool.h>

#define SIGNATURES_MARK "sauti simulated signature"

void signatures_set_real(bool real); /* before the first signer is made */

#endif
