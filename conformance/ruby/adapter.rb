# The AWS SDK for Ruby of 2015, version 1.67, as Debian 12 still has it, as an adapter of the conformance suite
# (conformance/README.md): JSON lines on stdin and stdout. It knows 13 operations, and no stream ARNs.

require "base64"
require "json"
require "uri"
require "yaml"

require "aws-sdk"

# The code of everything that is not an error of the service.
NOT_THE_SERVICE = "ClientError".freeze

# An operation or a member that the SDK does not have.
class Unknown < StandardError; end

# Between the model's names and the SDK's, by the SDK's own description of the service.
class Description
  FILE = File.join(AWS::SHARE, "api_config", "Kinesis-#{AWS::Kinesis::Client::API_VERSION}.yml")

  def initialize
    @operations = YAML.load_file(FILE, permitted_classes: [Symbol])[:operations].to_h { |one| [one[:name], one] }
  end

  def operation(name)
    @operations.fetch(name) { raise Unknown, "the SDK has no operation #{name}" }
  end

  # The options of a call. `inputs` describes a structure: name => [type, :required].
  def options(inputs, members, where)
    members.to_h do |name, value|
      type, = inputs.fetch(name) { raise Unknown, "#{where} has no member #{name}" }
      [AWS::Core::Inflection.ruby_name(name).to_sym, option(type, value, "#{where}.#{name}")]
    end
  end

  # The members of an answer. `outputs` describes a structure: name => {sym:, type:, members:}; the SDK's lists have the
  # type of what is in them.
  def members(outputs, data)
    outputs.select { |_, rule| data.key?(rule[:sym]) }.transform_values { |rule| member(rule, data[rule[:sym]]) }
  end

  private

  def option(type, value, where)
    case type
    in :blob then Base64.strict_decode64(value.fetch("$bytes"))
    in { list: [inner, *] } then value.map { |one| option(inner, one, where) }
    in { structure: inputs } then options(inputs, value, where)
    else value
    end
  end

  def member(rule, value)
    case value
    when Array then value.map { |one| member(rule, one) }
    when Hash then rule[:type] == :hash ? members(rule[:members], value) : value
    when String then rule[:type] == :blob ? { "$bytes" => Base64.strict_encode64(value) } : value
    else value
    end
  end
end

# This SDK is older than AWS_ENDPOINT_URL_KINESIS; what a program of its time would be configured with is made of it.
def client
  settings = { region: ENV.fetch("AWS_REGION"), max_retries: 0 }
  if ENV.key?("AWS_ENDPOINT_URL_KINESIS")
    endpoint = URI(ENV.fetch("AWS_ENDPOINT_URL_KINESIS"))
    settings.update(kinesis_endpoint: endpoint.host, kinesis_port: endpoint.port, use_ssl: endpoint.scheme == "https")
  end
  AWS::Kinesis::Client.new(settings)
end

def error(code, message, status)
  { "error" => { "code" => code, "message" => message, "status" => status } }
end

def answer(client, description, request)
  operation = description.operation(request.fetch("op"))
  options = description.options(operation[:inputs], request.fetch("in"), operation[:name])
  response = client.public_send(operation[:method], options)
  { "out" => description.members(operation[:outputs], response.data) }
rescue Unknown => unknown
  { "unknown" => unknown.message }
rescue AWS::Errors::Base => refused
  return error(NOT_THE_SERVICE, refused.message, 0) unless refused.code
  error(refused.code, refused.message, refused.http_response.status)
rescue StandardError => failed
  warn failed.full_message
  error(NOT_THE_SERVICE, "#{failed.class}: #{failed.message}", 0)
end

$stdin.set_encoding(Encoding::UTF_8)
$stdout.sync = true
kinesis = client
description = Description.new
$stdin.each_line do |line|
  request = JSON.parse(line)
  puts JSON.generate({ "id" => request.fetch("id"), **answer(kinesis, description, request) })
end
