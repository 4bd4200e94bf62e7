#include "RuntimeTest.h"
int main0;
