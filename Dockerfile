# The two commands of README.md on a bare Debian 12: docker build -t flashsfa . && docker run --rm flashsfa
FROM debian:12

WORKDIR /flashsfa
COPY . .
# Set-up, build and demo; the tests run with: docker run --rm flashsfa scripts/run-tests.sh
RUN scripts/run-demo.sh

CMD ["scripts/run-demo.sh"]
