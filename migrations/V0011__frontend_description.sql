-- What a frontend is for, in the words of its operator.
ALTER TABLE frontends ADD COLUMN description text;
