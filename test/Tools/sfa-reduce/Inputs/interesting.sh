#!/bin/sh
# A test for sfa-reduce, which keeps what this fails on: modules that the compiler reads and that densify codes.
#   interesting.sh SFA-OPT FILE
! "$1" "$2" | grep -q 'sfa\.densify'
