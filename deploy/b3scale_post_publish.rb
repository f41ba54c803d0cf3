#!/usr/bin/ruby
# encoding: UTF-8

# Queues a published format for `b3scaleagent recording push`, and does nothing else: BBB's worker waits for this script.
#
# Copy it to /usr/local/bigbluebutton/core/scripts/post_publish/ on each node. BBB runs it as the user bigbluebutton, once for each
# format: b3scale_post_publish.rb -m <record id> -f <format>

require 'fileutils'
require 'optparse'

queue = ENV.fetch('B3SCALE_RECORDINGS_QUEUE', '/var/lib/b3scaleagent/recordings')
record_id = nil
format = nil
OptionParser.new do |options|
  options.on('-m', '--meeting-id ID') { |id| record_id = id }
  options.on('-f', '--format NAME') { |name| format = name }
end.parse(ARGV)

# Names of files are made of both.
unless [record_id, format].all? { |name| name && name.match?(/\A[A-Za-z0-9_-]+\z/) }
  warn "b3scale_post_publish: -m and -f are wanted, and not #{record_id.inspect} and #{format.inspect}"
  exit 2
end

begin
  FileUtils.mkdir_p(queue)
  name = "#{record_id}.#{format}"
  # The agent reads no name that begins with a dot, and renaming is one step.
  unfinished = File.join(queue, ".#{name}.#{Process.pid}")
  File.open(unfinished, 'w') { |file| file.fsync }
  File.rename(unfinished, File.join(queue, name))
rescue SystemCallError => e
  warn "b3scale_post_publish: #{record_id} cannot be queued in #{queue}: #{e.message}"
  exit 1
end
